"""Grok's conversations: each with its responses, of the person and of the model.

Source: the data export of xAI (``prod-grok-backend.json``: ``{"conversations": [{"conversation": {...}, "responses":
[{"response": {"sender", "message", "create_time"}}]}]}``). Tags around citations are not part of what was said.
"""

from engine.data.records.content.endings import is_broken_off
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.order import Row, in_order, placed
from engine.data.records.roles import role_of
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, records, string
from engine.data.samples import Dialogue

_CITED, _END_OF_CITED = "<grok:render", "</grok:render>"
_ATTACHED = ("file_attachments", "image_attachments", "fileAttachments", "imageAttachments")


def _fits(record: Record) -> bool:
    said = _responses(record)
    return "conversation" in record and bool(said) and all("sender" in each and "message" in each for each in said)


def _responses(record: Record) -> list[Record]:
    return [child(each, "response") or each for each in records(record.get("responses"))]


def _parse(record: Record, limits: Limits) -> Dialogue:
    rows = in_order([_row(each, number) for number, each in enumerate(_responses(record), 1)])
    return dialogue_of([turn for row in rows for turn in row.turns], limits)


def _row(response: Record, number: int) -> Row:
    if any(response.get(key) for key in _ATTACHED):
        raise FormatError(f"turn {number}: a file is attached: only text can be learned")
    said = _without_citations(string(response["message"]))
    turn = Turn(role_of(response["sender"], number), said, weight=0 if is_broken_off(response) else 1)
    parent = response.get("parent_response_id")
    return placed({**response, "id": response.get("_id"), "parent_id": parent}, [turn])


def _without_citations(text: str) -> str:
    before, *cited = text.split(_CITED)
    return before + "".join(after for _, _, after in (each.partition(_END_OF_CITED) for each in cited))


SHAPE = RecordShape("Grok's {conversation, responses}", _fits, _parse, ("responses",))
