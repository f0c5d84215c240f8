"""aider's history: what the user and the model wrote, told from what the program wrote between."""

import pytest

HISTORY = """
# aider chat started at 2025-03-17 10:00:00

> /usr/bin/aider --message Greet
all people

and then more~
> Aider v0.86.1~

#### /add greeting.py~
> Added greeting.py to the chat~

#### add a greeting~
#### and test it~

I'll add one.

#### The plan
> as they say

```python
# comment
```

> Tokens: 2.4k sent, 749 received.
Cost: $0.0017 message, $0.0017 session.~
> Commit 0ff95ff fix: it

The message of the commit.~

Sorry, here it is again.

> Tokens: 1k sent~

#### /ask why so?~

Because.

# aider chat started at 2025-03-18 10:00:00

#### Hi~

Hello!

> Tokens: 1k sent~

#### /undo~
> Removed: 0ff95ff~

#### <blank>~

#### again~

Better.

> Tokens: 1k sent, 2 received.
""".replace("~", "  ")
"""Here with ~ for the two blanks."""
ADDED = "I'll add one.\n\n#### The plan\n> as they say\n\n```python\n# comment\n```"


def said(found) -> list[list[tuple[str, str, int]]]:
    return [[(m.role, m.content, m.weight) for m in each.messages] for each in found]


def test_each_session_is_a_conversation_without_what_the_program_wrote(read_bytes) -> None:
    found, refused = read_bytes(HISTORY.encode())
    assert refused == []
    assert said(found) == [
        [
            ("user", "add a greeting\nand test it", 1),
            ("assistant", ADDED, 1),
            ("assistant", "Sorry, here it is again.", 0),
            ("user", "why so?", 1),
            ("assistant", "Because.", 1),
        ],
        [("user", "Hi", 1), ("assistant", "Hello!", 0), ("user", "again", 1), ("assistant", "Better.", 1)],
    ]


@pytest.mark.parametrize("between", ["", "> Tokens: 1k sent\n\n"], ids=["nothing", "the program"])
def test_the_marks_alone_tell_where_all_blanks_are_gone(read_bytes, between: str) -> None:
    text = f"# aider chat started at 2025-03-17 10:00:00\n\n#### one\n\n1\n\n{between}#### two\n\n2\n"
    found, refused = read_bytes(text.encode())
    assert refused == []
    assert said(found) == [[("user", "one", 1), ("assistant", "1", 1), ("user", "two", 1), ("assistant", "2", 1)]]


def test_without_the_blanks_what_may_be_a_heading_is_refused(read_bytes) -> None:
    found, (refused,) = read_bytes("\n".join(line.rstrip() for line in HISTORY.split("\n")).encode())
    assert (found, "not certain what is a question" in refused.reason) == ([], True)


def test_a_session_without_a_question_is_none(read_bytes) -> None:
    found, (refused,) = read_bytes(b"# aider chat started at 2025-03-17 10:00:00\n\n> Aider v0.86.1  \n")
    assert (found, refused.reason) == ([], "it holds nothing to learn")
