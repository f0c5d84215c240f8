"""Records whose text is a dialogue in the template of a model (`engine.data.records.written.templates`)."""

from pydantic import JsonValue

from engine.data.records.dialogue import dialogue_of
from engine.data.records.limits import Limits
from engine.data.records.written.templates import is_written_out, turns_in
from engine.data.samples import Dialogue


def is_text(record: dict[str, JsonValue]) -> bool:
    """``{"text"}`` that is a dialogue written out."""
    text = record.get("text")
    return isinstance(text, str) and is_written_out(text)


def parse_text(record: dict[str, JsonValue], limits: Limits) -> Dialogue:
    """The dialogue.

    Raises:
        FormatError: nobody answers in it.
    """
    return dialogue_of(turns_in(str(record["text"])) or [], limits)


def is_completion(record: dict[str, JsonValue]) -> bool:
    """``{"prompt", "completion" | "response"}`` of which the prompt is a dialogue written out, up to the answer."""
    prompt = record.get("prompt")
    return isinstance(prompt, str) and isinstance(_answer(record), str) and is_written_out(prompt)


def parse_completion(record: dict[str, JsonValue], limits: Limits) -> Dialogue:
    """The dialogue of prompt and answer.

    Raises:
        FormatError: nobody answers in it.
    """
    return dialogue_of(turns_in(f"{record['prompt']}{_answer(record)}") or [], limits)


def _answer(record: dict[str, JsonValue]) -> JsonValue:
    return record.get("completion", record.get("response"))
