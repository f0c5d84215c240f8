"""Records whose text is a dialogue written out: in the template of a model, or as a transcript."""

import re
from collections.abc import Sequence
from typing import NoReturn

from pydantic import JsonValue

from engine.data.records.dialogue import Turn, dialogue_of, string_of, system_turn
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import Parsed
from engine.data.records.text import clean
from engine.data.records.written.templates import (
    dialogues_in,
    has_unknown_template,
    is_written_out,
    turns_in,
    without_edges,
)
from engine.data.records.written.transcripts import conversations_in, is_answered, is_waiting
from engine.data.samples import Dialogue

_END = re.compile(r"(?:\s*(?:<\|endoftext\|>|<\|end_of_text\|>|</s>))+\s*\Z")
_SYSTEM = re.compile(r"\ASYSTEM:\s*")
_ANSWERS = ("completion", "response", "generation", "output")


TEXTS = ("text", "conversation", "dialogue", "dialog", "transcript", "chat")
"""Keys of a text that may be a dialogue."""


def is_text(record: dict[str, JsonValue]) -> bool:
    """``{"text"}``, or ``transcript`` and the like, that is a dialogue written out."""
    return _text(record) is not None


def _text(record: dict[str, JsonValue]) -> str | None:
    texts = (text for key in TEXTS if isinstance(text := record.get(key), str))
    return next((text for text in texts if is_written_out(text) or _is_transcript(without_edges(text))), None)


def _is_transcript(text: str) -> bool:
    return is_answered(text) or is_waiting(text)


def parse_text(record: dict[str, JsonValue], limits: Limits) -> Sequence[Parsed]:
    """The dialogues.

    Raises:
        FormatError: who speaks is not known.
    """
    text = _text(record) or ""
    turns = (
        dialogues_in(text) if is_written_out(text) else map(_without_ends, conversations_in(clean(without_edges(text))))
    )
    system = system_turn(_SYSTEM.sub("", string_of(record, "system")), None)
    found: list[Parsed] = []
    for each in turns:
        opening = [] if any(turn.role == "system" for turn in each) else system
        try:
            found.append(dialogue_of([*opening, *each], limits))
        except FormatError as error:
            found.append(error)
    return found


def _without_ends(turns: Sequence[Turn]) -> list[Turn]:
    """The turns of a transcript without the marks of a model at their ends, as data sets of Glaive have them."""
    return [turn._replace(content=_END.sub("", turn.content)) for turn in turns]


def is_marked(record: dict[str, JsonValue]) -> bool:
    """``{"text"}`` with marks of turns."""
    text = record.get("text")
    return isinstance(text, str) and has_unknown_template(text)


def refuse_marked(record: dict[str, JsonValue], limits: Limits) -> NoReturn:
    """Nothing: marks of turns are no words to learn.

    Raises:
        FormatError: always.
    """
    del record, limits
    raise FormatError("a text with marks of turns, in a template that thord does not know or cannot read")


def is_completion(record: dict[str, JsonValue]) -> bool:
    """``{"prompt", "completion" | "response"}`` of which the prompt is a dialogue written out, up to the answer."""
    prompt = record.get("prompt")
    return isinstance(prompt, str) and _answer(record) is not None and is_written_out(prompt)


def parse_completion(record: dict[str, JsonValue], limits: Limits) -> Dialogue:
    """The dialogue of prompt and answer.

    Raises:
        FormatError: nobody answers in it.
    """
    return dialogue_of(turns_in(f"{record['prompt']}{_answer(record)}") or [], limits)


def _answer(record: dict[str, JsonValue]) -> str | None:
    found = (record[key] for key in _ANSWERS if key in record)
    return next((answer for answer in found if isinstance(answer, str)), None)
