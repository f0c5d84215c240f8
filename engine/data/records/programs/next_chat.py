"""NextChat's sessions: messages, and a mask with what was said before them.

Source: `ChatGPTNextWeb/NextChat`, app/store/chat.ts. Its backup holds ``{"chat-next-web-store": {"sessions":
[{"messages", "mask": {"context": [messages]}}]}}``.
"""

from engine.data.records.dialogue import dialogue_of
from engine.data.records.limits import Limits
from engine.data.records.messages import openai_turns, turns_of
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, items
from engine.data.samples import Dialogue


def _fits(record: Record) -> bool:
    return "messages" in record and isinstance(child(record, "mask").get("context"), list)


def _parse(record: Record, limits: Limits) -> Dialogue:
    return dialogue_of([*turns_of(items(child(record, "mask")["context"])), *openai_turns(record)], limits)


SHAPE = RecordShape("NextChat's sessions {mask, messages}", _fits, _parse, ("mask",))
