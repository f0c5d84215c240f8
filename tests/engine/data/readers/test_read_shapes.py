"""The finer points of single shapes."""

import json

import pytest

from engine.data.samples import Conversation, Text


def turns(conversation: Conversation) -> list[tuple[str, str]]:
    return [(m.role, m.plain_content) for m in conversation.messages]


def one(read_bytes, value: object) -> list[tuple[str, str]]:
    found, refused = read_bytes(json.dumps(value).encode())
    assert not refused
    assert len(found) == 1
    return turns(found[0])


def test_a_tool_call_is_what_the_assistant_says(read_bytes):
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    assert one(
        read_bytes,
        {
            "tools": [{"name": "add"}],
            "messages": [
                {"role": "user", "content": "add"},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "content": "2"},
            ],
        },
    ) == [
        ("system", 'Tools:\n[{"name": "add"}]'),
        ("user", "add"),
        ("assistant", '{"name": "add", "arguments": {"a": 1}}'),
        ("tool", "2"),
    ]


def test_sharegpt_calls_observations_and_instructions(read_bytes):
    names = ["human", "function_call", "observation", "gpt"]
    assert one(
        read_bytes,
        {"system": "be kind", "tools": "[]", "conversations": [{"from": n, "value": n} for n in names]},
    ) == [
        ("system", "be kind"),
        ("user", "human"),
        ("assistant", "function_call"),
        ("tool", "observation"),
        ("assistant", "gpt"),
    ]


def test_alpaca_joins_instruction_and_input(read_bytes):
    record = {"instruction": "add", "input": "1 2", "output": "3", "system": "s"}
    assert one(read_bytes, record) == [("system", "s"), ("user", "add\n\n1 2"), ("assistant", "3")]


def test_self_instruct_is_a_conversation_an_instance(read_bytes):
    instances = [{"input": "1", "output": "2"}, {"input": "", "output": "3"}]
    found, refused = read_bytes(json.dumps({"instruction": "add", "instances": instances}).encode())
    assert not refused
    assert [turns(c) for c in found] == [
        [("user", "add\n\n1"), ("assistant", "2")],
        [("user", "add"), ("assistant", "3")],
    ]


def test_turns_without_words_are_left_out_and_repeated_speakers_stay_apart(read_bytes):
    names = [("user", "a"), ("assistant", "b"), ("user", " "), ("assistant", "c")]
    assert one(read_bytes, [{"role": role, "content": content} for role, content in names]) == [
        ("user", "a"),
        ("assistant", "b"),
        ("assistant", "c"),
    ]


def test_a_name_quoted_in_an_answer_does_not_begin_a_turn(read_bytes):
    raw = b"Human: tell\n\nAssistant: a play\nUser: hi\nBot: ho\n\nHuman: nice\n\nAssistant: thanks"
    [found], _ = read_bytes(raw)
    assert turns(found) == [
        ("user", "tell"),
        ("assistant", "a play\nUser: hi\nBot: ho"),
        ("user", "nice"),
        ("assistant", "thanks"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Note: this is prose.\nIt goes on: with colons.",
        "A: only one letter, and no other speaker",
        "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.",
        "[1] Smith, On Things\n[2] Jones, On Others",
        "{{cite web}} some wiki text",
        "[[Category:Birds]] are nice",
        "System: Linux 6.1\nload is low",
    ],
)
def test_prose_is_not_taken_for_a_dialogue(read_bytes, text):
    assert read_bytes(text.encode()) == ([Text(text=text)], [])


def test_text_that_grows_keeps_its_pieces(read_bytes):
    paragraphs = [f"Paragraph {n} " + "with words " * (n % 60) for n in range(400)]
    text = "\n\n".join(paragraphs).encode()
    whole, _ = read_bytes(text)
    assert all(len(piece.text.encode()) <= 8000 for piece in whole)
    assert "".join("".join(piece.text.split()) for piece in whole) == "".join(text.decode().split())
    for end in range(0, len(text), 7919):
        pieces, _ = read_bytes(text[:end])
        assert pieces[:-1] == whole[: max(0, len(pieces) - 1)]


def test_a_line_without_borders_is_cut_between_characters(read_bytes):
    text = "é" * 20_001
    pieces, refused = read_bytes(text.encode())
    assert not refused
    assert "".join(piece.text for piece in pieces) == text
