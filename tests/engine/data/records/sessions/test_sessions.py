"""Sessions of coding agents: what a person and the model said, without what the program notes for itself."""

import io
import json

import pytest

from engine.data.readers.items import Found, Refused
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits


@pytest.fixture(name="read_bytes")
def reader():
    def read(raw: bytes):
        items = list(read_known(io.BytesIO(raw), Limits()))
        return [i.sample for i in items if isinstance(i, Found)], [i for i in items if isinstance(i, Refused)]

    return read


def lines(*rows: dict[str, object]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def codex(kind: str, payload: dict[str, object]) -> dict[str, object]:
    return {"timestamp": "2025-09-01T10:00:00Z", "type": kind, "payload": payload}


def message(role: str, text: str) -> dict[str, object]:
    kind = "input_text" if role == "user" else "output_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


ITEMS = [
    message("user", "<environment_context>\n<cwd>/w</cwd>\n</environment_context>"),
    message("user", "How deep?"),
    {"type": "reasoning", "summary": [], "encrypted_content": "x"},
    {"type": "function_call", "name": "sound", "arguments": "{}", "call_id": "1"},
    {"type": "function_call_output", "call_id": "1", "output": "2"},
    message("assistant", "Two fathoms."),
]
ROLES = [("user", "How deep?"), ("assistant", ""), ("tool", "2"), ("assistant", "Two fathoms.")]


def said(found) -> list[list[tuple[str, str]]]:
    return [[(m.role, m.content) for m in each.messages] for each in found]


def test_a_session_of_codex_is_a_dialogue_with_its_calls(read_bytes) -> None:
    meta = codex("session_meta", {"id": "a", "cwd": "/w"})
    own = [codex("event_msg", {"type": "agent_reasoning", "text": "Hm."}), codex("turn_context", {"cwd": "/w"})]
    found, refused = read_bytes(lines(meta, *own, *(codex("response_item", item) for item in ITEMS), *own))
    assert (said(found), refused) == ([ROLES], [])


def test_older_sessions_of_codex_are_read_too(read_bytes) -> None:
    header = {"id": "a", "timestamp": "2025-06-01", "instructions": None}
    found, refused = read_bytes(lines(header, {"record_type": "state"}, *ITEMS))
    assert (said(found), refused) == ([ROLES], [])
    found, refused = read_bytes(json.dumps({"session": {"id": "a"}, "items": ITEMS}).encode())
    assert (said(found), refused) == ([ROLES], [])


def claude(role: str, text: str, **marks: object) -> dict[str, object]:
    return {"type": role, "message": {"role": role, "content": text}, "uuid": text, "sessionId": "s", **marks}


def test_summaries_and_notices_of_claude_code_are_its_own(read_bytes) -> None:
    summary = {"type": "summary", "summary": "x", "leafUuid": "y"}
    rows = [claude("user", "Summary: it is deep", isCompactSummary=True), claude("user", "How deep?")]
    rows += [claude("assistant", "Two."), claude("user", "[Request interrupted by user]")]
    found, refused = read_bytes(lines(summary, summary, *rows))
    assert (said(found), refused) == ([[("user", "How deep?"), ("assistant", "Two.")]], [])
    found, (refused,) = read_bytes(lines(summary, summary))
    assert (found, refused.reason) == ([], "it holds nothing to learn")


def test_calls_of_codex_with_a_text_are_calls(read_bytes) -> None:
    patch = {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin Patch", "call_id": "1"}
    shell = {"type": "local_shell_call", "call_id": "2", "action": {"command": ["ls"]}}
    results = [{"type": "custom_tool_call_output", "call_id": "1", "output": [{"type": "input_text", "text": "ok"}]}]
    results += [{"type": "function_call_output", "call_id": "2", "output": "a.py"}]
    items = [message("user", "How deep?"), patch, results[0], shell, results[1], message("assistant", "Two.")]
    (dialogue,), refused = read_bytes(lines(*(codex("response_item", item) for item in items)))
    assert refused == []
    assert [call.arguments for m in dialogue.messages for call in m.tool_calls] == [
        {"input": "*** Begin Patch"},
        {"command": ["ls"]},
    ]
    assert [m.content for m in dialogue.messages if m.role == "tool"] == ["ok", "a.py"]
