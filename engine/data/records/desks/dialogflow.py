"""Dialogflow, ES and CX: turns of a conversation, each a request with its response.

| written by                                  | turn                                                               |
|---------------------------------------------|--------------------------------------------------------------------|
| the API and logs of both                    | {queryResult: {queryText, fulfillmentText or responseMessages}},   |
|                                             | also in ``jsonPayload`` of Cloud Logging                           |
| CX, "Export to BigQuery"                    | {conversation_name, turn_position, response: {queryResult}}        |
| CX, ``projects...conversations`` of the API | {interactions: [{requestUtterances, responseUtterances}]},         |
|                                             | newest first                                                       |

Sources: the references of ``DetectIntentResponse`` and of conversations, and
https://cloud.google.com/dialogflow/cx/docs/concept/export-bq. What the bot says without text (cards, telephone) is not
there. A turn that names no session is a conversation of its own. Clients for Python write ``query_result``,
``fulfillment_text`` and the like.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence

from engine.data.records.calls.tools import opened
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import Limits
from engine.data.records.order import Row, in_order, placed
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, is_record, items, records, string
from engine.data.samples import Dialogue

KEYS = ("queryResult", "query_result", "responseId", "conversation_name", "jsonPayload", "detectIntentResponse")
"""A turn has at least one of these."""
_RESULTS = ("queryResult", "query_result")
_AROUND = ("response", "jsonPayload", "detectIntentResponse")
_ASKED = ("queryText", "text", "transcript", "query_text")
_TEXTS = ("fulfillmentText", "fulfillment_text")
_MESSAGES = ("fulfillmentMessages", "fulfillment_messages", "responseMessages", "response_messages")
_CONTEXTS = ("outputContexts", "output_contexts")
_ORDER = {"request_time": "created_at", "turn_position": "turn"}
"""What tells the order in exports to BigQuery, by the names that it has elsewhere."""
_SESSION = re.compile(r"/sessions/([^/]+)/contexts/")
_SESSIONS = ("conversation_name", "session", "session_id", "conversation")


def _levels(record: Record) -> Iterator[Record]:
    """A record, and what is in it that may hold the result of a query."""
    yield record
    yield from (inner for key in _AROUND if key in record and is_record(inner := opened(record[key])))


def _result(record: Record) -> Record:
    """The result of a query; empty where there is none."""
    held = (opened(each.get(key)) for each in _levels(record) for key in _RESULTS)
    return next(filter(is_record, held), {})


def _first_text(result: Record, keys: Sequence[str]) -> str:
    return next((text for key in keys if (text := string(result.get(key)))), "")


def is_turn(record: Record) -> bool:
    """Whether this is a turn."""
    result = _result(record)
    return any(key in result for key in _ASKED) and any(key in result for key in (*_TEXTS, *_MESSAGES))


def row_of(record: Record, number: int) -> Row:
    """A turn as a row: what was asked, and what the bot answered."""
    del number
    result = _result(record)
    answered = "\n".join(_answers(result)) or _first_text(result, _TEXTS)
    row = placed(
        {**record, **{name: record[key] for key, name in _ORDER.items() if key in record}},
        [Turn("user", _first_text(result, _ASKED)), Turn("assistant", answered)],
    )
    return dataclasses.replace(row, begins=not session_of(record))


def _answers(result: Record) -> list[str]:
    """The texts of an answer. Of several ways to say a text the bot chose one: each holds one text."""
    listed = next((items(result[key]) for key in _MESSAGES if isinstance(result.get(key), list)), [])
    said = (items(child(message, "text").get("text")) for message in records(listed))
    return [string(texts[0]) for texts in said if texts and string(texts[0])]


def session_of(record: Record) -> str:
    """The conversation of a turn; empty where it does not say."""
    levels = (*_levels(record), child(record, "labels"))
    if name := next(filter(None, (_first_text(each, _SESSIONS) for each in levels)), ""):
        return name
    result = _result(record)
    contexts = (string(context.get("name")) for key in _CONTEXTS for context in records(result.get(key)))
    return next((match[1] for name in contexts if (match := _SESSION.search(name))), "")


def _fits(record: Record) -> bool:
    interactions = records(record.get("interactions"))
    return any("requestUtterances" in each or "responseUtterances" in each or is_turn(each) for each in interactions)


def _parse(record: Record, limits: Limits) -> Dialogue:
    rows = in_order([_interaction(each) for each in records(record["interactions"])])
    return dialogue_of([turn for row in rows for turn in row.turns], limits)


def _interaction(each: Record) -> Row:
    if "requestUtterances" not in each and "responseUtterances" not in each:
        return row_of(each, 1)
    asked, answered = string(each.get("requestUtterances")), string(each.get("responseUtterances"))
    return placed({**each, "created_at": each.get("createTime")}, [Turn("user", asked), Turn("assistant", answered)])


SHAPE = RecordShape("Dialogflow's conversations {interactions}", _fits, _parse, ("interactions",))
