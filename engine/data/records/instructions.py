"""Instructions with their answer: Alpaca, self-instruct, prompt and completion."""

from pydantic import JsonValue

from engine.data.records.dialogue import Turn, dialogue_of, kind_of, string_of, system_turn
from engine.data.records.limits import FormatError, Limits
from engine.data.records.messages import turns_of
from engine.data.samples import Dialogue


def is_alpaca(record: dict[str, JsonValue]) -> bool:
    """An instruction with its answer."""
    return "instruction" in record and ("output" in record or "response" in record)


def parse_alpaca(record: dict[str, JsonValue], limits: Limits) -> Dialogue:
    """``{"instruction", "input"?, "output", "system"?, "history"?: [[user, assistant], ...]}``.

    Raises:
        FormatError: a part of it is of another kind, or there is no answer.
    """
    answer = string_of(record, "output", "response")
    return dialogue_of([*alpaca_prompt(record), Turn("assistant", answer)], limits)


def alpaca_prompt(record: dict[str, JsonValue]) -> list[Turn]:
    """Everything of an Alpaca record before its answer.

    Raises:
        FormatError: as `parse_alpaca`.
    """
    turns = system_turn(record.get("system"), record.get("tools"))
    history = record.get("history") or []
    if not isinstance(history, list):
        raise FormatError(f"'history' must be an array, not {kind_of(history)}")
    for pair in history:
        if not isinstance(pair, list) or len(pair) != 2:
            raise FormatError("'history' must hold pairs of question and answer")
        question, answer = pair
        if not isinstance(question, str) or not isinstance(answer, str):
            raise FormatError("'history' must hold pairs of strings")
        turns += [Turn("user", question), Turn("assistant", answer)]
    asked = [string_of(record, "instruction"), string_of(record, "input", "context")]
    return [*turns, Turn("user", "\n\n".join(part for part in asked if part.strip()))]


def is_instances(record: dict[str, JsonValue]) -> bool:
    """An instruction with several inputs and outputs."""
    return {"instruction", "instances"} <= record.keys()


def parse_instances(record: dict[str, JsonValue], limits: Limits) -> list[Dialogue]:
    """Self-instruct: ``{"instruction", "instances": [{"input", "output"}, ...]}``, a dialogue for each instance.

    Raises:
        FormatError: an instance is not such an object.
    """
    instances = record["instances"]
    if not isinstance(instances, list) or not all(isinstance(instance, dict) for instance in instances):
        raise FormatError("'instances' must be an array of objects with input and output")
    if not instances:
        raise FormatError("'instances' is empty: there is no answer to learn")
    return [
        parse_alpaca({"instruction": record["instruction"], **instance}, limits)
        for instance in instances
        if isinstance(instance, dict)
    ]


def is_completion(record: dict[str, JsonValue]) -> bool:
    """A prompt with its completion or response."""
    return "prompt" in record and ("completion" in record or "response" in record)


def parse_completion(record: dict[str, JsonValue], limits: Limits) -> Dialogue:
    """``{"prompt", "completion"}`` (or ``response``), each a string or a list of messages.

    Raises:
        FormatError: one of them is something else.
    """
    return dialogue_of([*completion_prompt(record), *completion_answer(record)], limits)


def completion_prompt(record: dict[str, JsonValue]) -> list[Turn]:
    """Everything of a prompt-and-completion record before its answer.

    Raises:
        FormatError: as `parse_completion`.
    """
    return [*system_turn(record.get("system"), record.get("tools")), *prompt_turns(record["prompt"])]


def completion_answer(record: dict[str, JsonValue]) -> list[Turn]:
    """The answer of a prompt-and-completion record.

    Raises:
        FormatError: as `parse_completion`.
    """
    return answer_turns(record["completion"] if "completion" in record else record["response"])


def prompt_turns(prompt: JsonValue) -> list[Turn]:
    """A prompt: what a user said, or a list of messages.

    Raises:
        FormatError: it is something else.
    """
    return [Turn("user", prompt)] if isinstance(prompt, str) else turns_of(prompt)


def answer_turns(answer: JsonValue) -> list[Turn]:
    """An answer: what the assistant said, one message, or a list of them.

    Raises:
        FormatError: it is something else.
    """
    if isinstance(answer, str):
        return [Turn("assistant", answer)]
    return turns_of([answer] if isinstance(answer, dict) else answer)


_ASKED = ("question", "query", "problem", "input", "source_text")
_ANSWERED = ("answer", "response", "solution", "output", "target_text")
_PAIRS = (*((asked, answered) for asked in _ASKED for answered in _ANSWERED), ("user", "assistant"), ("human", "bot"))
"""Keys of a question and its answer. A ``user`` beside a ``response`` may be the name of somebody."""


def _question_and_answer(record: dict[str, JsonValue]) -> tuple[str, str] | None:
    """The keys of a question and its answer, both strings."""
    return next((keys for keys in _PAIRS if all(isinstance(record.get(key), str) for key in keys)), None)


def is_question(record: dict[str, JsonValue]) -> bool:
    """A question with its answer, by any of the usual names."""
    return _question_and_answer(record) is not None


def parse_question(record: dict[str, JsonValue], limits: Limits) -> Dialogue:
    """``{"question", "answer"}``, ``{"query", "response"}`` and the like, with ``system`` or ``system_prompt``.

    Raises:
        FormatError: there is no answer in it.
    """
    keys = _question_and_answer(record)
    asked, answered = (string_of(record, key) for key in keys or ("question", "answer"))
    system = record.get("system", record.get("system_prompt"))
    return dialogue_of([*system_turn(system, None), Turn("user", asked), Turn("assistant", answered)], limits)
