"""Text files with several dialogues: one that cannot be learned costs no other."""

import pytest

TRANSCRIPT = "User: q\nAssistant: a\n\n---\n\nUser: nobody answers\n\n---\n\nUser: r\nAssistant: b\n"
CHATML = "".join(
    f"<|im_start|>{role}\n{said}<|im_end|>\n"
    for role, said in (
        *(("system", "s"), ("user", "q"), ("assistant", "a")),
        *(("system", "t"), ("user", "r"), ("assistant", "b")),
    )
)


def test_a_transcript_without_an_answer_is_refused_and_those_around_it_are_learned(read_bytes) -> None:
    found, (refused,) = read_bytes(TRANSCRIPT.encode())
    assert [[message.content for message in each.messages] for each in found] == [["q", "a"], ["r", "b"]]
    assert "no assistant turn" in refused.reason


def test_instructions_after_an_answer_begin_another_dialogue(read_bytes) -> None:
    found, refused = read_bytes(CHATML.encode())
    assert refused == []
    assert [[message.content for message in each.messages] for each in found] == [["s", "q", "a"], ["t", "r", "b"]]


@pytest.mark.parametrize("record", ['{"user": "ada", "response": "ok"}', '{"user": "ada", "output": "ok"}'])
def test_somebodys_name_is_not_taken_for_a_question(read_bytes, record: str) -> None:
    found, (refused,) = read_bytes(record.encode())
    assert found == []
    assert "unknown shape" in refused.reason
