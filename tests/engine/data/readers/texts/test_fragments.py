"""What is left of a file that was cut is not learned as text; prose that only mentions such things is."""

import pytest

PIECES = [
    ("a piece of JSON", 'ntent": "Hay."}]}\n{"messages": [{"role": "user", "content": "Straw?"}, {"role": "assis'),
    ("a piece of JSON", 'utput": "The Forth.", "system": "You know rivers.", "history": [["River?", "Tay."]]}]'),
    ("a piece of JSON", "nt': 'Five a bale.'}], 'ok': True, 'id': None}\n"),
    ("a piece of JSON", '```json\n{\n "messages": []\n}\n```\n'),
    ("a piece of JSON", '// exported\n{\n "ids": [\n  1,\n  2\n ]\n}\n'),
    ("a piece of an HTML page", '="a"><div class="b">Prompted Which wood?<br>1 Jun<br><p>Maple.</p></div></div>'),
    ("a piece of a table", '02-03T10:00","Human","Which tyre?"\n"Tyre","2025-02-03T10:00:09","AI","A 32, at 6 bar."\n'),
    ("a piece of a table", "is the key?\nassistant\tUnder the flag.\n"),
    ("a piece of a chat", "can read them.\n31/12/2024, 22:45 - Ada: is it passable\n31/12/2024, 22:46 - Bo: no\n"),
    ("a transcript without", "PT said:\nBramley keeps.\n\nYou said:\nIn straw?\n\nChatGPT said:\nOn trays.\n"),
    ("a transcript without", "# Conversation: Neaps\nDate: 2025-01-20\n\n---\n\n## User\nWhen a"),
    ("a transcript without", "late.\nAgent: It left this morning.\nCustomer: Thanks!\n"),
    ("prompts behind '>'", "> How deep?\nTwo fathoms.\n\n> How wide?\nNine.\n"),
    ("YAML", "the pound?\n  - role: assistant\n    content: The pinder.\n"),
]


@pytest.mark.parametrize(("named", "text"), PIECES)
def test_a_piece_of_a_file_is_refused_by_name(read_bytes, named: str, text: str) -> None:
    found, (refused,) = read_bytes(text.encode())
    assert (found, named in refused.reason) == ([], True), refused.reason


PROSE = [
    'In the settings, write "name": "Hilma", and restart.\nThen the boat is known by its name in all lists.\n',
    "The harbour opens at six. A user said: hello.\nThe assistant of the harbour master came at nine, and left.\n",
    "> The sea is deep.\n\nSo the poet wrote, and he was right.\n\nNobody had measured it in his time.\n",
    "# The mill\n\nIt is <b>old</b>, and was built in 1712.\n\n## The weir\n\nNine metres wide, and quite deep.\n",
]


@pytest.mark.parametrize("text", PROSE)
def test_prose_that_mentions_such_things_is_learned(read_bytes, text: str) -> None:
    (found,), refused = read_bytes(text.encode())
    assert (found.text, refused) == (text.strip(), [])
