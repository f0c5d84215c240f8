"""Batches: a file of requests and a file of results, in which both name the same id. One file with both is read.

Sources: OpenAI's batches (``custom_id`` with ``body``, then with ``response``), Anthropic's message batches (with
``params``, then with ``result``), and Gemini's (``key`` with ``request``, then with ``response``).
"""

from engine.data.records.apis.answers import answer_turns
from engine.data.records.apis.requests import request_turns
from engine.data.records.limits import FormatError
from engine.data.records.order import Row
from engine.data.records.values import Record, child, string

IDS = ("custom_id", "key")
"""Keys of what a request and its result are both called."""

_REQUESTS = ("body", "params", "request")
_RESULTS = ("response", "result")


def id_of(record: Record) -> str:
    """What both lines are called; empty where this is no line of a batch."""
    if IDS[0] not in record and IDS[1] not in record:
        return ""
    has_one = sum(isinstance(record.get(key), dict) for key in (*_REQUESTS, *_RESULTS)) == 1
    return next((f"{key} {record[key]}" for key in IDS if string(record.get(key))), "") if has_one else ""


def is_line(record: Record) -> bool:
    """Whether this is a request or a result of a batch."""
    return bool(id_of(record)) or (string(record.get("custom_id")) != "" and record.get("error") is not None)


def row_of(record: Record, number: int) -> Row:
    """A request or a result as a row; ``number`` tells whether the request came before.

    Raises:
        FormatError: it failed, or nobody knows what was asked.
    """
    request = next((record[key] for key in _REQUESTS if isinstance(record.get(key), dict)), None)
    if request is not None:
        return Row(tuple(request_turns(request)))
    if number == 1:
        raise FormatError("a result of a batch without its request: put both files into one, the requests first")
    result = child(record, "result")
    if result and result.get("type") != "succeeded":
        raise FormatError(f"a request of a batch that {result.get('type')}: there is no answer to learn")
    response = child(result, "message") or record.get("response") or {"error": record.get("error")}
    return Row(tuple(answer_turns(response)))
