"""Dialogues whose last answer somebody judged good or bad by itself, as KTO has them: never learned as they stand."""

from pydantic import JsonValue

from engine.data.records import messages
from engine.data.records.content.ratings import verdict_in, verdict_of
from engine.data.records.dialogue import Turn, messages_of
from engine.data.records.instructions import (
    alpaca_answer,
    alpaca_prompt,
    completion_answer,
    completion_prompt,
    is_alpaca,
    is_completion,
    is_question,
    question_answer,
    question_turns,
)
from engine.data.records.limits import FormatError, Limits
from engine.data.samples import Answer, Dialogue, Preference

_NAMES = ("label", "kto_tag")


def is_judged(record: dict[str, JsonValue]) -> bool:
    """A verdict beside something that was answered; beside a ``text`` a label is a class, not a verdict."""
    return "text" not in record and _verdict(record) is not None and is_answered(record)


def is_answered(record: dict[str, JsonValue]) -> bool:
    """Whether a record is of a shape with an answer at its end."""
    shapes = (is_completion, is_alpaca, messages.is_openai, messages.is_sharegpt, messages.is_message, is_question)
    return any(fits(record) for fits in shapes)


def parse_judged(record: dict[str, JsonValue], limits: Limits) -> Preference:
    """``{"label" | "kto_tag": true | false}`` beside a prompt with its completion, messages, or an instruction.

    Raises:
        FormatError: beside the verdict there is no dialogue that ends with an answer.
    """
    prompt, answer = (messages_of(turns, limits) for turns in divided(record))
    if not prompt or not answer:
        raise FormatError("a verdict on an answer without a question, or without words: it cannot be learned")
    return Preference(prompt, (Answer(answer, score=1.0 if _verdict(record) else 0.0),))


def as_bad(dialogue: Dialogue) -> Preference:
    """A dialogue that was marked as bad, as a verdict on its last answer: it is held, and not learned."""
    said = dialogue.messages
    last = max(number for number, message in enumerate(said) if message.role == "assistant")
    return Preference(said[:last], (Answer(said[last : last + 1], score=0.0),))


def divided(record: dict[str, JsonValue]) -> tuple[list[Turn], list[Turn]]:
    """The turns before the answer, and the answer.

    Raises:
        FormatError: there is no dialogue that ends with an answer.
    """
    if is_completion(record):
        return completion_prompt(record), completion_answer(record)
    if is_alpaca(record):
        return alpaca_prompt(record), alpaca_answer(record)
    if is_question(record):
        return question_turns(record), question_answer(record)
    if messages.is_openai(record):
        turns = messages.openai_turns(record)
    elif messages.is_sharegpt(record):
        turns = messages.sharegpt_turns(record)
    else:
        turns = messages.turns_of([record])
    if not turns or turns[-1].role != "assistant":
        raise FormatError("a verdict or a correction beside a dialogue that does not end with an assistant turn")
    return turns[:-1], turns[-1:]


def _verdict(record: dict[str, JsonValue]) -> bool | None:
    """Good, bad, or none that can be understood as either."""
    found = (verdict_of(record[name]) for name in _NAMES if record.get(name) is not None)
    return next((verdict for verdict in found if verdict is not None), verdict_in(record))
