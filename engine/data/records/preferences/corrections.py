"""Answers that somebody corrected: the correction is better than what the model said, and is what is learned.

The keys are those of tools for annotation and of logs (``{"prompt", "response", "edited_response"}``).
"""

from collections.abc import Sequence

from pydantic import JsonValue

from engine.data.records.dialogue import Turn, dialogue_of, messages_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.preferences.pairs import preference_of
from engine.data.records.preferences.verdicts import divided, is_answered
from engine.data.records.shape import Parsed, RecordShape

_ANSWERS = ("response", "output", "answer", "completion", "reply", "text")
_CORRECTED = (
    *(f"{how}_{what}" for how in ("corrected", "edited", "improved", "revised", "fixed") for what in _ANSWERS),
    *(f"{how}{what.title()}" for how in ("corrected", "edited", "improved", "revised", "fixed") for what in _ANSWERS),
    *("correction", "human_correction", "corrected"),
)


def _correction(record: dict[str, JsonValue]) -> str:
    found = (record[key] for key in _CORRECTED if key in record)
    return next((text for text in found if isinstance(text, str) and text.strip()), "")


def _fits(record: dict[str, JsonValue]) -> bool:
    return bool(_correction(record)) and is_answered(record)


def _parse(record: dict[str, JsonValue], limits: Limits) -> Sequence[Parsed]:
    """A preference; where nothing was changed, the dialogue.

    Raises:
        FormatError: there is no question, or no answer.
    """
    asked, answered = divided(record)
    corrected = [Turn("assistant", _correction(record))]
    prompt, said, better = (messages_of(turns, limits) for turns in (asked, answered, corrected))
    if not prompt or not said:
        raise FormatError("a correction of an answer without a question, or without words: it cannot be learned")
    if said == better:
        return [dialogue_of([*asked, *answered], limits)]
    return [preference_of([(*prompt, *better), (*prompt, *said)])]


SHAPE = RecordShape("{prompt, response, corrected_response}", _fits, _parse, _CORRECTED)
