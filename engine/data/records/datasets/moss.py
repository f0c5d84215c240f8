"""MOSS: turns by number, each with marks around who speaks and what the model did inside.

Source: MOSS-003-sft-data (``{"meta_instruction", "chat": {"turn_1": {"Human", "Inner Thoughts", "Commands",
"Tool Responses", "MOSS"}}}``). Conversations in which a tool was used are refused: their answers rest on its results.
"""

import re

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, is_record, string
from engine.data.samples import Dialogue

_MARKS = re.compile(r"<\|[\w ]+\|>:?|<eo\w>")
_TOOLS = ("Inner Thoughts", "Commands", "Tool Responses")


def _fits(record: Record) -> bool:
    turns = child(record, "chat")
    return bool(turns) and all(is_record(turn) and "Human" in turn and "MOSS" in turn for turn in turns.values())


def _parse(record: Record, limits: Limits) -> Dialogue:
    turns = [Turn("system", string(record.get("meta_instruction")))]
    for turn in child(record, "chat").values():
        if is_record(turn):
            if any(_said(turn, key) not in ("", "None") for key in _TOOLS):
                raise FormatError("a conversation of MOSS with tools: only text can be learned")
            turns += [Turn("user", _said(turn, "Human")), Turn("assistant", _said(turn, "MOSS"))]
    return dialogue_of(turns, limits)


def _said(turn: Record, key: str) -> str:
    return _MARKS.sub("", string(turn.get(key))).strip()


SHAPE = RecordShape("MOSS's {chat: {turn_1: {Human, MOSS}}}", _fits, _parse, ("chat",))
