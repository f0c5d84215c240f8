"""Preferences among several answers, each with a score or a rank."""

import math

from pydantic import JsonValue

from engine.data.records.dialogue import Turn, kind_of, messages_of, string_of
from engine.data.records.instructions import alpaca_prompt, answer_turns, prompt_turns
from engine.data.records.limits import FormatError, Limits
from engine.data.samples import Answer, Preference

_PROMPTS = ("prompt", "query", "question")
_SCORES = ("overall_score", "score", "rating", "rank")


def is_ranking(record: dict[str, JsonValue]) -> bool:
    """Answers in one list, what they are worth in another."""
    return isinstance(record.get("responses"), list) and ("scores" in record or "ranks" in record)


def parse_ranking(record: dict[str, JsonValue], limits: Limits) -> Preference:
    """``{"prompt" | "query" | "instruction", "responses": [...], "scores": [...] | "ranks": [...]}``; rank 1 is best.

    Raises:
        FormatError: there is no prompt, or the lists are not of one length, or hold something else.
    """
    responses = record["responses"]
    name = "scores" if "scores" in record else "ranks"
    values = record[name]
    if not isinstance(responses, list) or not isinstance(values, list) or len(responses) != len(values):
        raise FormatError(f"'responses' and '{name}' must be arrays of one length")
    if not responses:
        raise FormatError("'responses' is empty: there is no answer to prefer")
    numbers = [_number(value, name) for value in values]
    answers = [messages_of(answer_turns(response), limits) for response in responses]
    return Preference(
        messages_of(_prompt(record), limits),
        tuple(
            Answer(answer, score=number) if name == "scores" else Answer(answer, rank=round(number))
            for answer, number in zip(answers, numbers, strict=True)
        ),
    )


def is_rated(record: dict[str, JsonValue]) -> bool:
    """Answers that each carry their own score, as UltraFeedback writes them."""
    found = _rated(record)
    return bool(found) and all(isinstance(each, dict) for each in found)


def _rated(record: dict[str, JsonValue]) -> list[JsonValue]:
    found = record.get("completions", record.get("answers"))
    return found if isinstance(found, list) else []


def parse_rated(record: dict[str, JsonValue], limits: Limits) -> Preference:
    """``{"instruction" | "prompt", "completions" | "answers": [{"response", "overall_score" | "rank"}, ...]}``.

    Raises:
        FormatError: there is no prompt, or a completion has no answer or no score.
    """
    answers: list[Answer] = []
    for each in _rated(record):
        if not isinstance(each, dict):
            raise FormatError(f"'completions' must hold objects with response and score, not {kind_of(each)}")
        name = next((name for name in _SCORES if name in each), None)
        if name is None:
            raise FormatError(f"a completion has no score: give one of {', '.join(_SCORES)}")
        said = messages_of([Turn("assistant", string_of(each, "response", "completion", "answer", "text"))], limits)
        number = _number(each[name], name)
        answers.append(Answer(said, rank=round(number)) if name == "rank" else Answer(said, score=number))
    return Preference(messages_of(_prompt(record), limits), tuple(answers))


def _prompt(record: dict[str, JsonValue]) -> list[Turn]:
    if "instruction" in record:
        return alpaca_prompt(record)
    for name in _PROMPTS:
        if name in record:
            return prompt_turns(record[name])
    raise FormatError(f"answers without a question: give 'instruction' or one of {', '.join(_PROMPTS)}")


def _number(value: JsonValue, name: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):  # it stands neither above nor below another
            raise FormatError(f"'{name}' must hold finite numbers, not {value}")
        return float(value)
    raise FormatError(f"'{name}' must hold numbers, not {kind_of(value)}")
