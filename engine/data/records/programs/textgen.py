"""Histories of text-generation-webui: pairs of what was said and what was answered, as sent to the model.

Source: "Save history" of text-generation-webui (oobabooga). ``internal`` is what the model saw, ``visible`` what was
shown; a greeting has a mark in place of a question.
"""

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, items, string
from engine.data.samples import Dialogue

_KEYS = (("internal", "visible"), ("data", "data_visible"))
"""What the model saw, and what was shown; the second pair is of older versions."""

_GREETING = "<|BEGIN-VISIBLE-CHAT|>"


def _fits(record: Record) -> bool:
    return any(isinstance(record.get(saw), list) and shown in record for saw, shown in _KEYS)


def _parse(record: Record, limits: Limits) -> Dialogue:
    if any(child(child(record, "metadata"), each).get("attachments") for each in child(record, "metadata")):
        raise FormatError("a message with a file attached: only text can be learned")
    turns = []
    key = next(saw for saw, shown in _KEYS if isinstance(record.get(saw), list) and shown in record)
    for number, pair in enumerate(items(record[key]), 1):
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(side, str) for side in pair):
            raise FormatError(f"'{key}' must hold pairs of strings; pair {number} is something else")
        asked, answered = (string(side) for side in pair)
        turns += [Turn("user", "" if asked == _GREETING else asked), Turn("assistant", answered)]
    return dialogue_of(turns, limits)


SHAPE = RecordShape("text-generation-webui's {internal, visible}", _fits, _parse, ("visible", "data_visible"))
