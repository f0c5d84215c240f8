"""Preferences of which one answer was chosen over another: ``{"chosen", "rejected"}`` and its relatives."""

import math
from collections.abc import Sequence
from dataclasses import replace

from pydantic import JsonValue

from engine.data.records.dialogue import Turn, messages_of, system_turn
from engine.data.records.instructions import alpaca_prompt, answer_to, answer_turns, prompt_turns
from engine.data.records.limits import FormatError, Limits
from engine.data.records.messages import openai_turns, turns_of
from engine.data.records.preferences import verdicts
from engine.data.records.text import clean
from engine.data.records.written.blocks import is_blocks, turns_of_blocks
from engine.data.records.written.templates import asked_in
from engine.data.samples import FROM_FILE, Answer, Message, Preference, Provenance

_SIDES = (
    ("chosen", "rejected"),
    ("chosen_response", "rejected_response"),
    ("response_j", "response_k"),
    ("preferred", "rejected"),
    ("preferred", "dispreferred"),
    ("accepted", "rejected"),
)
"""Keys of the better answer and the other one."""
CHOSEN = tuple(dict.fromkeys(better for better, _ in _SIDES))
"""Keys of the better answer."""


def _sides(record: dict[str, JsonValue]) -> tuple[str, str] | None:
    return next((keys for keys in _SIDES if record.keys() >= {*keys}), None)


def is_pair(record: dict[str, JsonValue]) -> bool:
    """``{"chosen", "rejected"}``, by any of the usual names."""
    return _sides(record) is not None


def parse_pair(record: dict[str, JsonValue], limits: Limits) -> Preference:
    """``{"chosen", "rejected"}`` with the context in ``prompt``, ``conversations``, an Alpaca instruction, or within.

    Feedback that thord wrote down says in ``provenance`` whose it is, and on which version.

    Raises:
        FormatError: an answer is of no known kind, there is no question, or both answers are the same.
    """
    sides = [answer_to(record.get("prompt"), record[key]) for key in _sides(record) or _SIDES[0]]
    context = _context(record)
    dialogues = [_full(context, side, limits) for side in sides]
    if not context and not all(_begins_with_prompt(dialogue) for dialogue in dialogues):
        raise FormatError("'chosen' is an answer without a question: give 'prompt', 'messages' or 'instruction'")
    scores = [_score(record, "score_chosen"), _score(record, "score_rejected")]
    return replace(preference_of(dialogues, scores), provenance=_provenance(record.get("provenance")))


def is_openai_pair(record: dict[str, JsonValue]) -> bool:
    """OpenAI's form for preferences."""
    return {"input", "preferred_output", "non_preferred_output"} <= record.keys()


def parse_openai_pair(record: dict[str, JsonValue], limits: Limits) -> Preference:
    """``{"input": {"messages", "tools"?}, "preferred_output": [...], "non_preferred_output": [...]}``.

    Raises:
        FormatError: a part of it is something else, or both answers are the same.
    """
    given = record["input"]
    if not isinstance(given, dict) or "messages" not in given:
        raise FormatError("'input' must be an object with messages")
    context = openai_turns(given)
    sides = (record["preferred_output"], record["non_preferred_output"])
    return preference_of([_full(context, side, limits) for side in sides])


def is_rejected_response(record: dict[str, JsonValue]) -> bool:
    """A dialogue, or a question with its answer, beside which stands what this answer was preferred to."""
    return isinstance(record.get("rejected_response"), str) and verdicts.is_answered(record)


def parse_rejected_response(record: dict[str, JsonValue], limits: Limits) -> Preference:
    """``{"messages": [..., answer], "rejected_response": "..."}``, or ``{"query", "response", "rejected_response"}``.

    Raises:
        FormatError: there is no answer, or both answers are the same.
    """
    asked, answered = verdicts.divided(record)
    return preference_of([messages_of([*asked, *answered], limits), _full(asked, record["rejected_response"], limits)])


def _context(record: dict[str, JsonValue]) -> list[Turn]:
    opening = system_turn(record.get("system", record.get("system_prompt")), None)
    sides = [record[key] for key in _sides(record) or ()]
    for key in ("conversations", "messages"):
        if key in record and record[key] not in sides:  # UltraFeedback repeats the chosen dialogue
            return [*opening, *turns_of(record[key])]
    if "instruction" in record:
        return alpaca_prompt(record)
    prompt = next(
        (record[key] for key in ("prompt", "question", "query", "input") if record.get(key) is not None), None
    )
    return opening if prompt is None else [*opening, *prompt_turns(prompt)]


def _full(context: Sequence[Turn], side: JsonValue, limits: Limits) -> tuple[Message, ...]:
    """The whole dialogue of one side, which may repeat the context or begin in the middle."""
    turns = (isinstance(side, str) and (turns_of_blocks(side) if is_blocks(side) else asked_in(side))) or answer_turns(
        side
    )
    said, before = messages_of(turns, limits), messages_of(context, limits)
    answers = any(message.role == "assistant" for message in said)
    if not said or not answers:
        raise FormatError("an answer of the pair has no assistant turn with words in it")
    return said if _begins_with_prompt(said) and _holds(said, before) else before + said


def _holds(said: Sequence[Message], before: Sequence[Message]) -> bool:
    """Whether a dialogue repeats its context, perhaps behind instructions or earlier turns."""
    length = len(before)
    return any(said[at : at + length] == before for at in range(len(said) - length + 1))


def _begins_with_prompt(messages: Sequence[Message]) -> bool:
    return bool(messages) and messages[0].role != "assistant"


def preference_of(
    dialogues: Sequence[tuple[Message, ...]], scores: Sequence[float | None] = (None, None)
) -> Preference:
    """What both dialogues begin with is the prompt; the first one's answer is the better one.

    Raises:
        FormatError: both are the same.
    """
    chosen, rejected = dialogues
    if chosen == rejected:
        raise FormatError("the chosen and the rejected answer are the same: nothing is preferred")
    shared = next(
        (at for at, (one, other) in enumerate(zip(chosen, rejected, strict=False)) if one != other),
        min(len(chosen), len(rejected)) - 1,
    )
    answers = tuple(
        Answer(dialogue[shared:], score, rank)
        for rank, (dialogue, score) in enumerate(zip(dialogues, scores, strict=True), 1)
    )
    return Preference(chosen[:shared], answers)


def _provenance(value: JsonValue) -> Provenance:
    """Who preferred, where thord itself wrote it down."""
    if not isinstance(value, dict) or value.get("origin") != "feedback":
        return FROM_FILE
    owner, version = value.get("owner"), value.get("version")
    return Provenance(
        "feedback", clean(owner) if isinstance(owner, str) else "", version if isinstance(version, int) else None
    )


def _score(record: dict[str, JsonValue], name: str) -> float | None:
    value = record.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def is_output_pair(record: dict[str, JsonValue]) -> bool:
    """An instruction with a list of outputs, the better one first: LLaMA-Factory's older form."""
    outputs = record.get("output")
    return "instruction" in record and isinstance(outputs, list) and len(outputs) > 1


def parse_output_pair(record: dict[str, JsonValue], limits: Limits) -> Preference:
    """``{"instruction", "input"?, "output": [better, worse, ...]}``.

    Raises:
        FormatError: an output is not a string.
    """
    outputs = record["output"]
    if not isinstance(outputs, list) or not all(isinstance(output, str) for output in outputs):
        raise FormatError("'output' must be a string, or an array of strings with the better one first")
    answers = [messages_of(answer_turns(output), limits) for output in outputs]
    prompt = messages_of(alpaca_prompt(record), limits)
    return Preference(prompt, tuple(Answer(answer, rank=rank) for rank, answer in enumerate(answers, 1)))
