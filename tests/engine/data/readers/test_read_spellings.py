"""Keys in capitals say what the same keys say in lower case: nothing of a record is lost with them."""

import json

import pytest

ASKED = [("user", "q"), ("assistant", "a")]
TURNS = [{"Role": "user", "Content": "q"}, {"Role": "assistant", "Content": "a"}]


@pytest.mark.parametrize(
    "record",
    [
        {"Messages": [{"Role": "system", "Content": "s"}, *TURNS]},
        {"SYSTEM": "s", "MESSAGES": TURNS},
        {"systemPrompt": "s", "prompt": "q", "response": "a"},
        {"systemMessage": "s", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
        {"System Prompt": "s", "User": "q", "Assistant": "a"},
        {
            "SystemInstruction": {"Parts": [{"Text": "s"}]},
            "Contents": [{"Role": "user", "Parts": [{"Text": "q"}]}, {"Role": "model", "Parts": [{"Text": "a"}]}],
        },
        {"Prompt": [{"Role": "system", "Content": "s"}, TURNS[0]], "Completion": TURNS[1:]},
    ],
    ids=lambda record: next(iter(record)),
)
def test_a_record_is_read_with_its_instructions(read_bytes, record: dict[str, object]) -> None:
    (found,), refused = read_bytes(json.dumps(record).encode())
    assert ([(m.role, m.content) for m in found.messages], refused) == ([("system", "s"), *ASKED], [])


def test_rows_are_grouped(read_bytes) -> None:
    rows = [{"ConversationId": talk, **turn} for turn in TURNS for talk in (1, 2)]
    found, refused = read_bytes("\n".join(map(json.dumps, rows)).encode())
    assert ([[(m.role, m.content) for m in each.messages] for each in found], refused) == ([ASKED, ASKED], [])


def test_a_comma_behind_the_last_element_is_passed_over(read_bytes) -> None:
    turns = '[\n{"role": "user", "content": "How, }?",},\n{"role": "assistant", "content": "So.",},\n],'
    (found,), refused = read_bytes(f'{{\n"messages": {turns}\n}}\n'.encode())
    assert ([message.content for message in found.messages], refused) == (["How, }?", "So."], [])
