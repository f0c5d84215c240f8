"""Thoughts before an answer are not learned, as those that programs keep apart are not."""

import pytest

from engine.data.records.content.thoughts import without_thoughts

ANSWER = "Two fathoms."


@pytest.mark.parametrize(
    "said",
    [
        f"<think>\nIt is a ford.\n</think>\n\n{ANSWER}",
        f"  <think></think>{ANSWER}",
        f"<thinking>hm</thinking><think>hm</think>\n{ANSWER}",
        f"It is a ford.\n</think>\n\n{ANSWER}",
        f"<Thought>hm</Thought>\n<Output>{ANSWER}</Output>",
        f"<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>",
        f"\u25c1think\u25b7hm\u25c1/think\u25b7{ANSWER}",
        f"[THINK]hm[/THINK]{ANSWER}",
        f"<seed:think>hm</seed:think>{ANSWER}",
        f"```plaintext\nThought process: hm\n```\n\n{ANSWER}",
        f"<|begin_of_thought|>hm<|end_of_thought|>\n<|begin_of_solution|>\n{ANSWER}\n<|end_of_solution|>",
    ],
)
def test_only_the_answer_stays(said: str) -> None:
    assert without_thoughts(said) == ANSWER


@pytest.mark.parametrize(
    "said",
    [
        "Write <think> before and </think> behind what you think.",
        "In `</think>` the thoughts end.",
        "<details>a</details>",
        "a < b",
    ],
)
def test_an_answer_may_speak_of_the_marks(said: str) -> None:
    assert without_thoughts(said) == said


def test_thoughts_that_do_not_end_are_no_answer(learn, problems) -> None:
    def record(answer: str) -> dict[str, object]:
        return {"messages": [{"role": "user", "content": "How deep?"}, {"role": "assistant", "content": answer}]}

    assert learn(record(f"<think>hm</think>{ANSWER}")) == [[("user", "How deep?"), ("assistant", ANSWER)]]
    assert learn(record(f"hm\n</think>\n{ANSWER}")) == [[("user", "How deep?"), ("assistant", ANSWER)]]
    assert problems(record("<think>It is a fo")) == ["no assistant turn with words in it: there is no answer to learn"]


def test_what_the_user_writes_stays(learn) -> None:
    said = "<think>me</think> why?"
    record = {"messages": [{"role": "user", "content": said}, {"role": "assistant", "content": ANSWER}]}
    assert learn(record) == [[("user", said), ("assistant", ANSWER)]]


def test_thoughts_are_left_out_of_records_whatever_their_marks(learn) -> None:
    marked = ["[THINK]hm[/THINK]Two.", "```plaintext\nThought process: hm\n```\nTwo.", "<Thinking>hm</Thinking>Two."]
    for said in marked:
        turns = [{"role": "user", "content": "How deep?"}, {"role": "assistant", "content": said}]
        assert learn({"messages": turns}) == [[("user", "How deep?"), ("assistant", "Two.")]]
