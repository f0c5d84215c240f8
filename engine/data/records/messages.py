"""Lists of messages, as OpenAI (``role``, ``content``) and ShareGPT (``from``, ``value``) write them, and their kin.

OpenAI content is a string or a list of parts. A turn is context only where ``weight``, ``train``, ``loss`` or
``loss_weight`` says so, and where a person marked the answer as bad.
"""

import json
from typing import Literal, NoReturn

from pydantic import JsonValue

from engine.data.records.calls import responses
from engine.data.records.calls.tools import calls_in, calls_of, opened, taken_apart
from engine.data.records.content import langchain
from engine.data.records.content.citations import without_citations
from engine.data.records.content.endings import is_broken_off
from engine.data.records.content.marks import excluded_mark, is_left
from engine.data.records.content.own_words import is_of_program, is_setup
from engine.data.records.content.pictures import check_has_nothing_attached
from engine.data.records.content.ratings import verdict_in
from engine.data.records.dialogue import Turn, dialogue_of, kind_of, system_text, system_turn, texts_about
from engine.data.records.limits import FormatError, Limits
from engine.data.records.order import in_order, placed
from engine.data.records.roles import CALL_ROLES, is_role, role_of
from engine.data.records.values import items, string
from engine.data.records.written.transcripts import conversations_in, is_answered
from engine.data.samples import Dialogue, Role

_FIELDS = (
    ("role", "content"),
    ("role", "tool_calls"),
    ("role", "function_call"),
    ("from", "value"),
    ("from", "content"),
    ("role", "text"),
    ("role", "value"),
    ("role", "message"),
)
"""Keys of who speaks and of what is said."""

_SPEAKER_FIELDS = (
    ("sender", "text"),
    ("sender", "content"),
    ("speaker", "text"),
    ("author", "content"),
    ("author", "message"),
    ("author", "text"),
    ("author", "body"),
    ("sender", "message"),
    ("sender", "body"),
    ("from", "text"),
    ("from", "message"),
    ("speaker", "content"),
    ("name", "content"),
    ("type", "content"),
)
"""The same where records of other kinds have such keys too: the speaker must be known by name."""

_EXCHANGES = (("human", "assistant"), ("user", "assistant"), ("input", "output"))
"""Keys of a question and its answer in one object."""

_LEARNED = (
    *("weight", "train", "train_on", "training", "trainable", "is_trainable", "loss", "loss_weight", "loss_mask"),
    *("learn", "supervised", "is_supervised", "compute_loss"),
)
_LISTED = ("weights", "weight", "loss_mask", "loss_masks", "loss_weights", "train_mask", "train_on_turn")
"""Keys beside messages of a list that says of each whether it is learned."""
_TRUE, _FALSE = ("true", "True", "yes", "1", "1.0"), ("false", "False", "no", "0", "0.0")
_PARTLY_LEARNED = ("train_detail", "training_detail")
_THOUGHTS = ("thinking", "redacted_thinking", "reasoning", "step-start", "source-url")
_OF_BEDROCK = ("reasoningContent", "cachePoint")
"""Parts that nobody says: thoughts, and marks of the program."""
SYSTEM = (
    *("system", "system_prompt", "system_message", "system_instruction", "instructions"),
    *("systemPrompt", "systemMessage", "systemInstruction", "preamble"),
)
"""Keys of the instructions beside what was said."""

_TEXT_PARTS = ("text", "input_text", "output_text", "refusal")


def _fields(message: dict[str, JsonValue]) -> tuple[str, str] | None:
    """The keys of who speaks and of what is said; none where this is not a message."""
    if message.get("parts") and "role" in message and not message.get("content"):
        return "role", "parts"
    found = [keys for keys in _FIELDS if keys[0] in message and keys[1] in message]
    if found:  # null is absent, where something else is there
        return next((keys for keys in found if message[keys[1]] is not None), found[0])
    for who, what in _SPEAKER_FIELDS:
        if what in message and is_role(_name(message.get(who))):
            return who, what
    return None


def _name(speaker: JsonValue) -> JsonValue:
    """What a speaker is called; some are objects with a role."""
    return speaker.get("role") if isinstance(speaker, dict) else speaker


def is_message(value: JsonValue) -> bool:
    """Whether this is one message by itself."""
    return isinstance(value, dict) and (_fields(value) is not None or langchain.is_dump(value))


def is_message_list(value: JsonValue) -> bool:
    """Whether this is a bare array of messages."""
    return isinstance(value, list) and bool(value) and is_message(value[0])


def parse(messages: JsonValue, limits: Limits, system: JsonValue = None, tools: JsonValue = None) -> Dialogue:
    """A dialogue from a list of messages, with instructions and tools from beside it.

    Raises:
        FormatError: it is not a list of messages, or not a dialogue.
    """
    return dialogue_of([*system_turn(system, tools), *turns_of(messages)], limits)


def parse_single(message: dict[str, JsonValue], limits: Limits) -> NoReturn:
    """Nothing: one message by itself answers no question.

    Raises:
        FormatError: always; the message says so, or what is wrong with it.
    """
    del limits
    turn_of(message, 1)
    raise FormatError("one message by itself: what it answers, or what is answered, is not there")


def is_openai(record: dict[str, JsonValue]) -> bool:
    """``{"messages": ...}``."""
    return "messages" in record


def parse_openai(record: dict[str, JsonValue], limits: Limits) -> Dialogue:
    """``{"messages": [...], "tools"?}``."""
    return dialogue_of(openai_turns(record), limits)


def openai_turns(record: dict[str, JsonValue]) -> list[Turn]:
    """The turns of an OpenAI record, before they are cleaned.

    Raises:
        FormatError: something in it is not a message.
    """
    tools = record.get("tools") or record.get("functions")
    if tools is None and isinstance(config := record.get("toolConfig"), dict):  # of Bedrock
        tools = config.get("tools")
    turns = turns_of(record["messages"])
    return [*_opening(record, tools, turns), *_weighed(turns, record)]


def _opening(record: dict[str, JsonValue], tools: JsonValue, turns: list[Turn]) -> list[Turn]:
    """The turn of the instructions beside messages, unless the messages begin with the same.

    The ``context`` on which the answers rest is part of them, unless somebody says it: PaLM has no other instructions.
    """
    system = next((record[key] for key in SYSTEM if record.get(key)), None)
    context = record.get("context")
    if isinstance(system, list):
        system = system_text(system)
    documents = texts_about(record, "documents")
    if isinstance(context, list) and all(isinstance(each, str) for each in context):
        context = "\n\n".join(map(str, context))
    if documents and (context is None or isinstance(context, str)):
        context = "\n\n".join([*filter(None, [context]), *documents])
    is_repeated = isinstance(context, str) and any(context.strip() in turn.content for turn in turns)
    if isinstance(context, str) and context.strip() and not is_repeated:
        system = f"{system}\n\n{context}" if isinstance(system, str) else system or context
    is_said = bool(turns) and turns[0].role == "system" and turns[0].content == system
    return system_turn(None if is_said else system, tools)


def is_sharegpt(record: dict[str, JsonValue]) -> bool:
    """``{"conversations": [messages]}``, or ``conversation``; conversations of another shape are an envelope."""
    turns = _talk(record)
    if isinstance(turns, str):
        return turns.lstrip().startswith("[")
    return isinstance(turns, list) and (not turns or not isinstance(turns[0], dict) or _is_said(turns[0]))


def _talk(record: dict[str, JsonValue]) -> JsonValue:
    """The turns of a ShareGPT record; those of UltraChat stand under ``data``."""
    found = record.get("conversations", record.get("conversation"))
    data = record.get("data")
    is_ultra_chat = found is None and "id" in record and isinstance(data, list) and _is_alternating(data)
    return data if is_ultra_chat else found


def _is_alternating(turns: list[JsonValue]) -> bool:
    """Texts in turn, as LIMA and UltraChat write them: the user begins, the assistant ends."""
    return bool(turns) and len(turns) % 2 == 0 and all(isinstance(turn, str) for turn in turns)


def parse_sharegpt(record: dict[str, JsonValue], limits: Limits) -> Dialogue:
    """``{"conversations": [...], "system"?, "tools"?}``; ``conversation`` does as well."""
    return dialogue_of(sharegpt_turns(record), limits)


def sharegpt_turns(record: dict[str, JsonValue]) -> list[Turn]:
    """The turns of a ShareGPT record, before they are cleaned.

    Raises:
        FormatError: something in it is not a message.
    """
    found = _talk(record)
    if isinstance(found, list) and _is_alternating(found) and is_answered(written := "\n".join(map(str, found))):
        turns = next(conversations_in(written))
    elif isinstance(found, list) and _is_alternating(found):
        speakers: tuple[Role, Role] = ("user", "assistant")
        turns = [Turn(speakers[number % 2], str(said)) for number, said in enumerate(found)]
    else:
        turns = turns_of(found)
    return [*_opening(record, record.get("tools"), turns), *_weighed(turns, record)]


def _weighed(turns: list[Turn], record: dict[str, JsonValue]) -> list[Turn]:
    """The turns with what the record says beside them of which are learned.

    Raises:
        FormatError: a list does not say it of each turn.
    """
    if (key := next((key for key in _LISTED if isinstance(record.get(key), list)), "")) and items(record[key]):
        weights = items(record[key])
        if len(weights) != len(turns) or any(weight not in (0, 1) for weight in weights):
            raise FormatError(f"'{key}' must have a 1 (learned) or 0 (context only) for each of the {len(turns)} turns")
        return [turn if weight else turn._replace(weight=0) for turn, weight in zip(turns, weights, strict=True)]
    if record.get("mask_history") in (True, *_TRUE):  # of LLaMA-Factory: only the last answer is learned
        last = max((at for at, turn in enumerate(turns) if turn.role == "assistant"), default=-1)
        return [turn if at == last else turn._replace(weight=0) for at, turn in enumerate(turns)]
    return turns


def turns_of(messages: JsonValue) -> list[Turn]:
    """The turns of a list of messages.

    Raises:
        FormatError: something in it is not a message.
    """
    if isinstance(messages, str) and messages.lstrip().startswith("["):
        messages = opened(messages)
    if isinstance(messages, list) and len(messages) == 1 and isinstance(messages[0], list):
        messages = messages[0]  # a batch of one, as LangSmith logs it
    if not isinstance(messages, list):
        raise FormatError(f"messages must be an array, not {kind_of(messages)}")
    rows = [
        placed(message if isinstance(message, dict) else {}, _exchange(message, number))
        for number, message in enumerate(responses.in_messages(messages), 1)
    ]
    return [turn for row in in_order(rows) for turn in row.turns]


def _exchange(message: JsonValue, number: int) -> list[Turn]:
    """The turn that a message is; the turns of ``{"system"?, "human" | "input", "assistant" | "output"}`` in one.

    Sources: Firefly writes ``human`` and ``assistant``, XTuner ``input`` and ``output``.
    """
    if isinstance(message, dict) and (keys := _exchange_keys(message)):
        question, answer = (message[key] for key in keys)
        turns = [Turn("user", str(question)), Turn("assistant", str(answer))]
        return [*system_turn(message.get("system"), None), *turns]
    return turns_in(message, number)


def turns_in(message: JsonValue, number: int) -> list[Turn]:
    """The turns that one message is: results of tools, where they are parts of it, and what is said beside them.

    A message that is marked as hidden, deleted or internal is none.

    Raises:
        FormatError: as `turn_of`.
    """
    if isinstance(message, dict):
        if is_left(message) or ("parts" in message and is_of_program(message, is_setup)):
            return []
        check_has_nothing_attached(message, number)
        message = langchain.message_of(message)
    fields = _fields(message) if isinstance(message, dict) else None
    parts = message[fields[1]] if isinstance(message, dict) and fields else None
    if not isinstance(message, dict) or fields is None or not isinstance(parts, list):
        return [turn_of(message, number)]
    rest, calls, results = taken_apart(parts)
    turns = [Turn("tool", _content(given, "tool", number), (), "", call) for call, given in results]
    if rest or calls or not results:
        said = turn_of({**message, fields[1]: rest}, number)
        turns.append(said._replace(tool_calls=said.tool_calls + calls))
    return turns


def _exchange_keys(message: dict[str, JsonValue]) -> tuple[str, str] | None:
    """The keys of a question and its answer in one object."""
    if _fields(message) is not None or "instruction" in message:
        return None
    return next((keys for keys in _EXCHANGES if all(isinstance(message.get(key), str) for key in keys)), None)


def _is_said(message: dict[str, JsonValue]) -> bool:
    return _fields(message) is not None or _exchange_keys(message) is not None


def turn_of(message: JsonValue, number: int) -> Turn:
    """One message as a turn; ``number`` counts from 1.

    Raises:
        FormatError: it is not a message, its role is unknown, or it holds something other than text.
    """
    fields = _fields(message) if isinstance(message, dict) else None
    if not isinstance(message, dict) or fields is None:
        seen = f"an object with {_keys(message)}" if isinstance(message, dict) else kind_of(message)
        raise FormatError(f"turn {number}: expected a message with role and content (or from and value), found {seen}")
    who, what = fields
    content = None if what in ("tool_calls", "function_call") else message[what]
    name = _name(message[who])
    calls = calls_of(message, number)
    if isinstance(content, str) and isinstance(name, str) and name.strip().lower() in CALL_ROLES:
        calls = calls_in(content)
        content = "" if calls else content
    return Turn(
        role := role_of(name, number),
        _content(content, role, number),
        calls,
        string(message.get("name")),
        string(message.get("tool_call_id")),
        _weight(message, number),
    )


def _weight(message: dict[str, JsonValue], number: int) -> Literal[0, 1]:
    """0 where the message says that it is not to be learned, or that its answer was bad."""
    for key in _LEARNED:
        value = message.get(key)
        if value is None or value == 1 or value in _TRUE:
            continue
        if value == 0 or value in _FALSE:
            return 0
        raise FormatError(f"turn {number}: {key} must be 1 (learned) or 0 (context only)")
    if isinstance(message.get("mask"), int | float):
        raise FormatError(f"turn {number}: 'mask' may mean both: write weight 1 (learned) or 0 (context only)")
    details = [each for key in _PARTLY_LEARNED for each in items(message.get(key)) if isinstance(each, dict)]
    if any(each.get("train") is False for each in details):  # a turn is learned whole or not at all
        return 0
    is_left_out = is_broken_off(message) or excluded_mark(message) != ""
    return 0 if is_left_out or verdict_in(message) is False else 1


def _content(content: JsonValue, role: Role, number: int) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, dict) and role == "tool":
        return json.dumps(content, ensure_ascii=False)  # many agents log the result of a tool as the object it is
    if isinstance(content, dict) and isinstance(content.get("text"), str):
        content = [content]
    elif isinstance(content, dict) and content.get("content_type") == "text":
        content = content.get("parts")
    if not isinstance(content, list):
        raise FormatError(f"turn {number}: content must be a string or a list of parts, not {kind_of(content)}")
    said = (part for part in content if not (isinstance(part, dict) and _is_own(part)))
    return "\n".join(_part(part, number) for part in said)


def _is_own(part: dict[str, JsonValue]) -> bool:
    """Whether nobody says this part: Bedrock names its parts by a key, all others by a type."""
    return (
        part.get("type") in _THOUGHTS
        or part.get("thought") is True
        or (len(part) == 1 and any(key in part for key in _OF_BEDROCK))
    )


def _part(part: JsonValue, number: int) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type", "text") in _TEXT_PARTS:
        text = part.get("refusal") if part.get("type") == "refusal" else part.get("text")
        if isinstance(text, dict):  # threads of OpenAI's Assistants: {"value", "annotations"}
            text = without_citations(string(text.get("value")))
        if isinstance(text, str):
            return text
    kind = part.get("type", _keys(part)) if isinstance(part, dict) else kind_of(part)
    raise FormatError(f"turn {number}: a part of type {kind!r}: only text can be learned")


def _keys(record: dict[str, JsonValue]) -> str:
    return ", ".join(sorted(record)[:8])[:120] or "nothing in it"
