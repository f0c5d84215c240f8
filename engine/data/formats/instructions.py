"""Instructions with their answer: Alpaca, self-instruct, prompt and completion."""

from pydantic import JsonValue

from engine.data.conversation import Conversation
from engine.data.formats.dialogue import Turn, conversation_of, kind_of, string_of, system_turn
from engine.data.formats.items import FormatError, Limits
from engine.data.formats.messages import turns_of


def parse_alpaca(record: dict[str, JsonValue], limits: Limits) -> Conversation:
    """``{"instruction", "input"?, "output", "system"?, "history"?: [[user, assistant], ...]}``.

    Raises:
        FormatError: a part of it is of another kind, or there is no answer.
    """
    answer = string_of(record, "output", "response")
    return conversation_of([*alpaca_prompt(record), ("assistant", answer)], limits)


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
        turns += [("user", question), ("assistant", answer)]
    asked = [string_of(record, "instruction"), string_of(record, "input", "context")]
    return [*turns, ("user", "\n\n".join(part for part in asked if part.strip()))]


def parse_instances(record: dict[str, JsonValue], limits: Limits) -> list[Conversation]:
    """Self-instruct: ``{"instruction", "instances": [{"input", "output"}, ...]}``, a conversation an instance.

    Raises:
        FormatError: an instance is no such object.
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


def parse_completion(record: dict[str, JsonValue], limits: Limits) -> Conversation:
    """``{"prompt", "completion"}`` (or ``response``), each a string or a list of messages.

    Raises:
        FormatError: one of them is something else.
    """
    answer = record["completion"] if "completion" in record else record["response"]
    turns = [*prompt_turns(record["prompt"]), *answer_turns(answer)]
    return conversation_of([*system_turn(record.get("system"), record.get("tools")), *turns], limits)


def prompt_turns(prompt: JsonValue) -> list[Turn]:
    """A prompt: what a user said, or a list of messages.

    Raises:
        FormatError: it is something else.
    """
    return [("user", prompt)] if isinstance(prompt, str) else turns_of(prompt)


def answer_turns(answer: JsonValue) -> list[Turn]:
    """An answer: what the assistant said, one message, or a list of them.

    Raises:
        FormatError: it is something else.
    """
    if isinstance(answer, str):
        return [("assistant", answer)]
    return turns_of([answer] if isinstance(answer, dict) else answer)
