"""Samples as JSON objects with named fields, for people and other programs; segments hold the canonical form."""

from collections.abc import Sequence

from pydantic import JsonValue

from engine.data.samples import FROM_FILE, Answer, Dialogue, Labelled, Message, Preference, Sample, Text


def with_named_fields(sample: Sample) -> dict[str, JsonValue]:
    """The sample with its ``kind``; fields that say nothing are left out."""
    match sample:
        case Dialogue(messages=messages):
            return {"kind": sample.kind, "messages": _messages(messages)}
        case Text(text=text):
            return {"kind": sample.kind, "text": text}
        case Preference():
            return _preference(sample)
        case Labelled():
            return _labelled(sample)


def _preference(sample: Preference) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = {
        "kind": sample.kind,
        "prompt": _messages(sample.prompt),
        "answers": [_answer(answer) for answer in sample.answers],
    }
    if sample.provenance != FROM_FILE:
        found = sample.provenance
        fields["provenance"] = {"origin": found.origin, "owner": found.owner, "version": found.version}
    return fields


def _messages(messages: Sequence[Message]) -> list[JsonValue]:
    return [_message(message) for message in messages]


def _message(message: Message) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = {"role": message.role, "content": message.content, "weight": message.weight}
    if message.tool_calls:
        fields["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.name:
        fields["name"] = message.name
    if message.tool_call_id:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def _answer(answer: Answer) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = {"content": "\n".join(message.plain_content for message in answer.messages)}
    if len(answer.messages) > 1:
        fields["messages"] = _messages(answer.messages)
    if answer.score is not None:
        fields["score"] = answer.score
    if answer.rank is not None:
        fields["rank"] = answer.rank
    return fields


def _labelled(sample: Labelled) -> dict[str, JsonValue]:
    label: JsonValue = [*sample.label] if isinstance(sample.label, tuple) else sample.label
    fields: dict[str, JsonValue] = {"kind": sample.kind, "task": sample.task, "text": sample.text, "label": label}
    if sample.text_pair:
        fields["text_pair"] = sample.text_pair
    if sample.spans:
        fields["spans"] = [{"start": span.start, "end": span.end, "label": span.label} for span in sample.spans]
    return fields
