"""Records by their columns are read as rows."""

import pytest

SAID = [[("user", "How deep?"), ("assistant", "Two.")], [("user", "How wide?"), ("assistant", "Nine.")]]
FORMS = [
    {"question": ["How deep?", "How wide?"], "answer": ["Two.", "Nine."]},
    {"question": {"0": "How deep?", "1": "How wide?"}, "answer": {"0": "Two.", "1": "Nine."}},
    {"columns": ["question", "answer"], "index": [0, 1], "data": [["How deep?", "Two."], ["How wide?", "Nine."]]},
    {"0": {"question": "How deep?", "answer": "Two."}, "1": {"question": "How wide?", "answer": "Nine."}},
    {"messages": [[{"role": role, "content": text} for role, text in talk] for talk in SAID]},
]


@pytest.mark.parametrize("record", FORMS, ids=str)
def test_each_row_is_a_dialogue(learn, record: dict[str, object]) -> None:
    assert learn(record) == SAID


def test_lists_that_are_no_columns_are_what_they_were(learn) -> None:
    turns = [{"role": "user", "content": "How deep?"}, {"role": "assistant", "content": "Two."}]
    assert learn({"messages": turns, "weights": [0, 1]}) == SAID[:1]
    assert learn({"prompt": turns[:1], "completion": turns[1:]}) == SAID[:1]
