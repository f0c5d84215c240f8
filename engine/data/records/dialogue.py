"""Turns of any shape put together into a dialogue: cleaned, blank ones left out, checked."""

import json
from collections.abc import Iterable

from pydantic import JsonValue

from engine.data.records.calls import cline, hermes
from engine.data.records.calls.tools import tools_of
from engine.data.records.content.pictures import check_has_no_picture
from engine.data.records.content.thoughts import BEGINS, END, without_thoughts
from engine.data.records.limits import FormatError, Limits
from engine.data.records.text import clean
from engine.data.records.turn import Turn as Turn
from engine.data.samples import Dialogue, Message, ToolCall


def dialogue_of(turns: Iterable[Turn], limits: Limits) -> Dialogue:
    """A dialogue of these turns.

    Raises:
        FormatError: there is no assistant turn to learn, or there are too many turns.
    """
    messages = messages_of(hermes.with_calls(cline.with_calls(list(turns))), limits)
    if not any(message.is_supervised for message in messages):
        if any(message.role == "assistant" for message in messages):
            raise FormatError(
                "every assistant turn has weight 0, is marked as bad, or was cut off: there is no answer to learn"
            )
        raise FormatError("no assistant turn with words in it: there is no answer to learn")
    return Dialogue(messages)


def messages_of(turns: Iterable[Turn], limits: Limits) -> tuple[Message, ...]:
    """These turns cleaned, without blank ones.

    Raises:
        FormatError: there are too many turns, or a picture in one of them.
    """
    cleaned = (_cleaned(turn) for turn in turns)
    messages = tuple(message for message in cleaned if message.content or message.tool_calls or message.tools)
    for message in messages:
        check_has_no_picture(message.content, is_asked=message.role == "user")
    if len(messages) > limits.turns:
        raise FormatError(f"{len(messages)} turns are more than the {limits.turns} that one conversation may have")
    return messages


def _cleaned(turn: Turn) -> Message:
    role, content, calls, name, call_id, weight, tools = turn
    if role == "assistant" and (END in content or content.lstrip().startswith(BEGINS)):
        content = without_thoughts(content)
    if not (calls or name or call_id or tools):
        return Message(role, clean(content), weight=weight)
    calls = tuple(_cleaned_call(call) for call in calls)
    # Cleaned together with its calls, because what is blank at the end of the content is not at the end of the turn.
    written = "\n".join(call.text for call in calls)
    said = clean(f"{content}\n{written}" if content else written).removesuffix(written).removesuffix("\n")
    told: JsonValue = json.loads(clean(json.dumps(tools, ensure_ascii=False))) if tools else None
    return Message(role, said if calls else clean(content), calls, clean(name), clean(call_id), weight, told)


def _cleaned_call(call: ToolCall) -> ToolCall:
    cleaned = json.loads(clean(call.text))
    return ToolCall(cleaned["name"], cleaned["arguments"], clean(call.id))


def system_turn(system: JsonValue, tools: JsonValue) -> list[Turn]:
    """The turn that opens a dialogue with instructions, the tools that may be called, or both; none without either.

    Raises:
        FormatError: the instructions are not text.
    """
    system = system_text(system)
    if described := tools_of(tools) if tools else None:
        return [Turn("system", system or "", tools=described)]
    parts = [system] if system else []
    if tools and tools != "[]" and described is None:
        parts.append(f"Tools:\n{tools if isinstance(tools, str) else json.dumps(tools, ensure_ascii=False)}")
    return [Turn("system", "\n\n".join(parts))] if parts else []


def system_text(system: JsonValue) -> str | None:
    """Instructions as text: a string, or a list of parts as Bedrock and Anthropic write it; none where there are none.

    Raises:
        FormatError: they are something else.
    """
    if isinstance(system, list):
        words = [part.get("text") if isinstance(part, dict) else part for part in system]
        if all(isinstance(word, str) for word in words):
            return "\n".join(map(str, words))
    if system is None or isinstance(system, str):
        return system
    raise FormatError(f"'system' must be a string, not {kind_of(system)}")


def string_of(record: dict[str, JsonValue], *names: str) -> str:
    """The text under the first of ``names`` that is there; missing and null are empty.

    Raises:
        FormatError: it is not text.
    """
    for name in names:
        value = record.get(name)
        if isinstance(value, str):
            return value
        if value is not None:
            raise FormatError(f"'{name}' must be a string, not {kind_of(value)}")
    return ""


def texts_about(record: dict[str, JsonValue], *names: str) -> list[str]:
    """What a question is about, under any of ``names``: a text, a list of texts, or of documents with their text.

    Raises:
        FormatError: it is something else, so what the answer rests on is not known.
    """
    found: list[str] = []
    for name in names:
        value = record.get(name)
        if isinstance(value, dict) and value:
            value = _columns(value)
        for each in value if isinstance(value, list) else [value] if value else []:
            if isinstance(each, int):  # tokens: Ollama keeps its state in ``context``
                continue
            text = _document(each) if isinstance(each, dict) else _titled(each)
            if not isinstance(text, str):
                raise FormatError(f"'{name}' beside a question must be text, or a list of texts or documents")
            found.append(text)
    return found


def _columns(value: dict[str, JsonValue]) -> JsonValue:
    """Documents by their columns, ``{"title": [...], "sentences": [[...], ...]}``, as pairs; others as they are."""
    titles, sentences = value.get("title"), value.get("sentences")
    if not isinstance(titles, list) or not isinstance(sentences, list) or len(titles) != len(sentences):
        return [value]
    return [[title, said] for title, said in zip(titles, sentences, strict=True)]


def _titled(value: JsonValue) -> JsonValue:
    """A title with its sentences, as HotpotQA writes it, as a text; anything else as it is."""
    match value:
        case [str(title), list(sentences)] if all(isinstance(each, str) for each in sentences):
            return f"{title}\n{''.join(map(str, sentences))}"
    return value


def _document(value: dict[str, JsonValue]) -> str | None:
    """A document with its title; none where it has no text."""
    text = next(
        (
            value[key]
            for key in ("text", "content", "page_content", "paragraph_text")
            if isinstance(value.get(key), str)
        ),
        None,
    )
    title = value.get("title")
    return (
        f"{title}\n{text}"
        if isinstance(title, str) and isinstance(text, str)
        else text
        if isinstance(text, str)
        else None
    )


def kind_of(value: JsonValue) -> str:
    """What a JSON value is, in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
    return "an object"
