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


def test_rows_of_one_conversation_are_one_dialogue_as_in_a_list(learn) -> None:
    columns = {
        "conversation_id": ["a", "a"],
        "prompt": ["How deep?", "How wide?"],
        "response": ["Two.", "Nine."],
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert learn(columns) == learn(rows)
    assert len(learn(columns)) == 1


def test_rows_of_messages_are_one_dialogue(learn) -> None:
    said = {"0": {"role": "user", "content": "How deep?"}, "1": {"role": "assistant", "content": "Two."}}
    assert learn(said) == SAID[:1]
