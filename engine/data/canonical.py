"""Samples read back from their canonical form, in which segments and snapshots hold them."""

import json
from collections.abc import Iterable
from typing import Literal, TypedDict

from pydantic import JsonValue

from engine.data.samples import (
    FROM_FILE,
    Answer,
    Dialogue,
    Labelled,
    LabelledSpan,
    Message,
    Preference,
    Provenance,
    Role,
    Sample,
    Text,
    ToolCall,
)


def from_canonical(canonical: str) -> Sample:
    """The inverse of `SampleProtocol.canonical`.

    Raises:
        ValueError, KeyError, TypeError: it is not the canonical form of a sample.
    """
    value = json.loads(canonical)
    if "messages" in value:
        return Dialogue(_messages(value["messages"]))
    if "text" in value:
        return Text(value["text"])
    if "preference" in value:
        found = value["preference"]
        answers = tuple(
            Answer(_messages(answer["messages"]), answer.get("score"), answer.get("rank"))
            for answer in found["answers"]
        )
        provenance = Provenance(**found["provenance"]) if "provenance" in found else FROM_FILE
        return Preference(_messages(found["prompt"]), answers, provenance)
    found = value["labelled"]
    spans = tuple(LabelledSpan(*span) for span in found.get("spans", ()))
    label = tuple(found["label"]) if isinstance(found["label"], list) else found["label"]
    return Labelled(found["text"], label, found["task"], found.get("text_pair", ""), spans)


class _More(TypedDict, total=False):
    tool_calls: list[tuple[str, JsonValue, str]]
    name: str
    tool_call_id: str
    weight: Literal[0, 1]
    tools: JsonValue


def _messages(stored: Iterable[tuple[Role, str, *tuple[_More, ...]]]) -> tuple[Message, ...]:
    return tuple(_message(*parts) for parts in stored)


def _message(role: Role, content: str, *more: _More) -> Message:
    if not more:
        return Message(role, content)
    found = more[0]
    calls = tuple(ToolCall(*call) for call in found.get("tool_calls", ()))
    return Message(
        role,
        content,
        calls,
        found.get("name", ""),
        found.get("tool_call_id", ""),
        found.get("weight", 1),
        found.get("tools"),
    )
