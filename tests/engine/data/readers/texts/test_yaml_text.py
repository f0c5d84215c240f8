"""Conversations in YAML are read like those in JSON; what JSON cannot say is refused, and other YAML by its name."""

import sys

import pytest

SAID = [("user", "How deep?"), ("assistant", "Two fathoms.")]
TURNS = "- role: user\n  content: How deep?\n- role: assistant\n  content: Two fathoms.\n"
RECORD = f"messages:\n{TURNS}"
FILES = {
    "a list of messages": TURNS,
    "a record": RECORD,
    "behind a comment": f"# a talk\n---\n{RECORD}...\n",
    "in flow": "- {role: user, content: 'How deep?'}\n- {role: assistant, content: Two fathoms.}\n",
    "ShareGPT": "conversations:\n  - from: human\n    value: How deep?\n  - from: gpt\n    value: >-\n      Two\n"
    "      fathoms.\n",
    "messages as documents": "role: user\ncontent: How deep?\n---\nrole: assistant\ncontent: Two fathoms.\n",
    "an exchange": "- user: How deep?\n  assistant: Two fathoms.\n",
    "pairs": "- question: How deep?\n  source: log\n  answer: Two fathoms.\n",
}


def said(found) -> list[list[tuple[str, str]]]:
    return [[(m.role, m.content) for m in each.messages] for each in found]


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_conversations(read_bytes, text: str) -> None:
    found, refused = read_bytes(text.encode())
    assert (said(found), refused) == ([SAID], [])


def test_each_document_is_a_record(read_bytes) -> None:
    found, refused = read_bytes(f"---\n{RECORD}---\n{RECORD.replace('Two', 'Three')}".encode())
    assert refused == []
    assert said(found) == [SAID, [SAID[0], ("assistant", "Three fathoms.")]]


def test_words_and_lines_stay_what_they_are(read_bytes) -> None:
    text = "- role: user\n  content: no\n- role: assistant\n  content: |\n    12: is\n\n    - it\n"
    found, _ = read_bytes(text.encode())
    assert said(found) == [[("user", "no"), ("assistant", "12: is\n\n- it")]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{RECORD}last: *x\n", "line 6: an alias"),
        (RECORD.replace("How", "!!python/object:os.system How"), "line 3: a tag"),
        ("- user: How deep?\n  assistant: Two.\n  user: Why?\n", "line 3: the key 'user' appears twice"),
        (f"{TURNS}- role: user\n  content: a: b\n", "line 6: mapping values"),
        (f"{TURNS}- {'[' * 80}\n", "nested deeper than 64"),
        (f"{TURNS}- ? [a]\n  : b\n", "a key must be a word"),
    ],
)
def test_what_json_cannot_say_is_refused_with_its_line(read_bytes, text: str, reason: str) -> None:
    found, (refused,) = read_bytes(text.encode())
    assert (found, reason in refused.reason) == ([], True), refused.reason


def test_documents_before_a_broken_one_are_learned(read_bytes) -> None:
    found, (refused,) = read_bytes(f"{RECORD}---\nmessages: [\n".encode())
    assert said(found) == [SAID]
    assert "cannot be read further" in refused.reason


@pytest.mark.parametrize(
    "text", ["version: 3\nservices:\n  web:\n    image: x\n", "prompts:\n  - a\ntests:\n  - b: c\n"]
)
def test_other_yaml_is_refused_as_such(read_bytes, text: str) -> None:
    found, (refused,) = read_bytes(text.encode())
    assert (found, "seems to be YAML" in refused.reason) == ([], True)


def test_a_transcript_is_none(read_bytes) -> None:
    found, _ = read_bytes(b"user: How deep?\nassistant: Two fathoms.\nuser: Why?\nassistant: Mud.\n")
    assert said(found) == [[*SAID, ("user", "Why?"), ("assistant", "Mud.")]]


def test_without_its_library_the_extra_is_named(read_bytes, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    found, (refused,) = read_bytes(RECORD.encode())
    assert (found, "pip install 'thord[yaml]'" in refused.reason) == ([], True)


def test_a_transcript_whose_first_turn_looks_like_a_comment_stays_one(read_bytes) -> None:
    [dialogue], refused = read_bytes(b"user: #\nassistant: 0\n")
    assert ([message.content for message in dialogue.messages], refused) == (["#", "0"], [])


def test_yaml_in_one_line_for_each_turn_is_no_prose(read_bytes) -> None:
    written = b"- messages:\n  - {role: user, content: How deep?}\n  - {role: assistant, content: Two.}\n"
    (found,), refused = read_bytes(written)
    assert ([message.content for message in found.messages], refused) == (["How deep?", "Two."], [])
