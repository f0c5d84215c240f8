"""Which parser a JSON value goes to: the table of shapes, told apart by the keys that are there."""

from pydantic import JsonValue

from engine.data.records import instructions, messages, pieces, preference
from engine.data.records.dialogue import kind_of
from engine.data.records.limits import FormatError, Limits
from engine.data.samples import Conversation

KNOWN = (
    "OpenAI messages {messages}, ShareGPT {conversations}, Alpaca {instruction, output}, {prompt, completion}, "
    "{chosen, rejected}, {text}, or an array of {role, content}"
)


def parse(value: JsonValue, limits: Limits) -> list[Conversation]:
    """The conversations in one JSON value: an object of a known shape, a bare array of messages, or an array of these.

    Raises:
        FormatError: its shape is unknown (the message says what was seen and what is known), or a part is wrong.
    """
    if isinstance(value, dict):
        return _parse_object(value, limits)
    if not isinstance(value, list):
        raise FormatError(f"expected an object or an array, found {kind_of(value)}; known are {KNOWN}")
    if not value:
        raise FormatError("an empty array: there is nothing to learn")
    if messages.is_message_list(value):
        return [messages.parse(value, limits)]
    return [conversation for element in value for conversation in parse(element, limits)]


def _parse_object(record: dict[str, JsonValue], limits: Limits) -> list[Conversation]:
    keys = record.keys()
    if "text" not in keys:  # there a label is a class
        preference.check_label(record)
    if {"chosen", "rejected"} <= keys:
        return [preference.parse(record, limits)]
    if "messages" in keys:
        return [messages.parse_openai(record, limits)]
    if "conversations" in keys or isinstance(record.get("conversation"), list):
        return [messages.parse_sharegpt(record, limits)]
    if {"instruction", "instances"} <= keys:
        return [*instructions.parse_instances(record, limits)]
    if {"instruction", "output"} <= keys or {"instruction", "response"} <= keys:
        return [instructions.parse_alpaca(record, limits)]
    if {"prompt", "completion"} <= keys or {"prompt", "response"} <= keys:
        return [instructions.parse_completion(record, limits)]
    if messages.is_message(record):
        return [messages.parse([record], limits)]
    if isinstance(text := record.get("text"), str):
        return [*pieces.pieces(text)]
    seen = ", ".join(sorted(keys)[:8])[:160] or "no keys"
    raise FormatError(f"an object of unknown shape with {seen}; known are {KNOWN}")
