"""Gemini: conversations with ``contents`` and ``parts``, AI Studio's prompts, and Takeout's activities.

Sources: the Gemini API and Vertex AI tuning data (``{"systemInstruction", "contents": [{"role", "parts"}]}``), files of
AI Studio in Drive (``{"chunkedPrompt": {"chunks": [...]}}``), and Google Takeout's ``MyActivity.json``, where each
prompt is a record of its own with the answer in HTML.
"""

import json
import re
from typing import Literal

from pydantic import JsonValue

from engine.data.records.calls.tools import call_of
from engine.data.records.content.endings import is_broken_off
from engine.data.records.dialogue import Turn, dialogue_of, system_turn
from engine.data.records.exports.markup import plain
from engine.data.records.limits import FormatError, Limits
from engine.data.records.roles import role_of
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, is_record, records, string
from engine.data.samples import Dialogue

_PROMPTED = re.compile(r"(?:Prompted|Asked|Said)\s+(.+)", re.DOTALL)


def _has_contents(record: Record) -> bool:
    return isinstance(record.get("contents"), list)


def _parse_contents(record: Record, limits: Limits) -> Dialogue:
    return dialogue_of(content_turns(record), limits)


def content_turns(record: Record) -> list[Turn]:
    """The turns of ``{"systemInstruction"?, "contents"}``.

    Raises:
        FormatError: a part is something other than text.
    """
    system = record.get("systemInstruction", record.get("system_instruction"))
    turns = system_turn(_parts(system, 0) if system else None, record.get("tools"))
    contents = record["contents"]
    listed = contents if isinstance(contents, list) else [contents]
    for number, each in enumerate(listed, 1):
        content: Record = each if is_record(each) else {"parts": [{"text": each}]}
        parts = records(content.get("parts"))
        turns += [_result(child(part, "functionResponse")) for part in parts if "functionResponse" in part]
        calls = tuple(call_of(part["functionCall"], number) for part in parts if "functionCall" in part)
        if calls or not any("functionResponse" in part for part in parts) or any("text" in part for part in parts):
            turns.append(Turn(role_of(content.get("role", "user"), number), _parts(content, number), calls))
    return turns


def _result(response: Record) -> Turn:
    """What a function gave; Gemini has it as an object."""
    given = response.get("response")
    said = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return Turn("tool", said, (), string(response.get("name")), string(response.get("id")))


def _parts(content: JsonValue, number: int) -> str:
    """The text of a content; thoughts and calls are left out.

    Raises:
        FormatError: a part is something other than text.
    """
    if isinstance(content, str):
        return content
    said = []
    for part in records(content.get("parts") if isinstance(content, dict) else None):
        if "functionCall" in part or "functionResponse" in part:
            continue
        if not isinstance(part.get("text"), str):
            raise FormatError(f"turn {number}: a part with {', '.join(sorted(part))[:80]}: only text can be learned")
        if not part.get("thought"):
            said.append(string(part["text"]))
    return "\n".join(said)


def _is_studio(record: Record) -> bool:
    return isinstance(child(record, "chunkedPrompt").get("chunks"), list)


def _parse_studio(record: Record, limits: Limits) -> Dialogue:
    system = child(record, "systemInstruction")
    turns = [Turn("system", string(system.get("text")) or _parts(system, 0))]
    for number, chunk in enumerate(records(child(record, "chunkedPrompt")["chunks"]), 1):
        if not chunk.get("isThought"):
            if not isinstance(chunk.get("text"), str):
                raise FormatError(f"turn {number}: a chunk without text: only text can be learned")
            weight: Literal[0, 1] = 0 if is_broken_off(chunk) else 1
            turns.append(Turn(role_of(chunk.get("role"), number), string(chunk["text"]), weight=weight))
    return dialogue_of(turns, limits)


def _is_activity(record: Record) -> bool:
    return "header" in record and "title" in record and ("safeHtmlItem" in record or "products" in record)


def _parse_activity(record: Record, limits: Limits) -> Dialogue:
    prompt = _PROMPTED.match(string(record["title"]))
    answer = "\n".join(plain(string(item.get("html"))) for item in records(record.get("safeHtmlItem")))
    if record.get("attachedFiles") or record.get("imageFile"):
        raise FormatError("an activity with a file attached: only text can be learned")
    if not prompt or not answer:
        raise FormatError("an activity without a prompt in 'title' and an answer in 'safeHtmlItem'")
    return dialogue_of([Turn("user", prompt[1]), Turn("assistant", answer)], limits)


SHAPES = (
    RecordShape("Gemini's {contents}", _has_contents, _parse_contents, ("contents",)),
    RecordShape("AI Studio's {chunkedPrompt}", _is_studio, _parse_studio, ("chunkedPrompt",)),
    RecordShape("Takeout's activities {title, safeHtmlItem}", _is_activity, _parse_activity, ("header",)),
)
