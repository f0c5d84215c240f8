"""Histories of text-generation-webui: pairs of what was said and what was answered, as sent to the model.

Source: "Save history" of text-generation-webui (oobabooga). ``internal`` is what the model saw, ``visible`` what was
shown; a greeting has a mark in place of a question.
"""

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.exports.values import Record, items, string
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.samples import Dialogue

_GREETING = "<|BEGIN-VISIBLE-CHAT|>"


def _fits(record: Record) -> bool:
    return isinstance(record.get("internal"), list) and isinstance(record.get("visible"), list)


def _parse(record: Record, limits: Limits) -> Dialogue:
    turns = []
    for number, pair in enumerate(items(record["internal"]), 1):
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(side, str) for side in pair):
            raise FormatError(f"'internal' must hold pairs of strings; pair {number} is something else")
        asked, answered = (string(side) for side in pair)
        turns += [Turn("user", "" if asked == _GREETING else asked), Turn("assistant", answered)]
    return dialogue_of(turns, limits)


SHAPE = RecordShape("text-generation-webui's {internal, visible}", _fits, _parse)
