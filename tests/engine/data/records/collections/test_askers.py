"""Answers in tables whose rows name only who speaks: they belong to the one who waits, or are refused."""

import pytest

Row = dict[str, object]


def asked(text: str, **columns: object) -> Row:
    return {"role": "user", "content": text, **columns}


def answered(text: str, **columns: object) -> Row:
    return {"role": "assistant", "content": text, **columns}


def said(*texts: str) -> list[tuple[str, str]]:
    return [(("user", "assistant")[number % 2], text) for number, text in enumerate(texts)]


@pytest.mark.parametrize("of_bot", [{}, {"user_id": None}, {"user_id": 0}, {"user_id": "bot"}], ids=str)
def test_an_answer_without_the_id_of_the_person_belongs_to_who_waits(learn_rows, of_bot: Row) -> None:
    rows = [
        *(asked("q1", user_id=7), answered("a1", **of_bot), asked("q2", user_id=8), answered("a2", **of_bot)),
        *(asked("q3", user_id=7), answered("a3", **of_bot), answered("a4", **of_bot)),
    ]
    assert learn_rows(rows) == [[*said("q1", "a1", "q3", "a3"), ("assistant", "a4")], said("q2", "a2")]


def test_where_two_wait_it_is_not_known_whose_an_answer_is(learn_rows) -> None:
    rows = [asked("q1", user_id=7), asked("q2", user_id=8), answered("a1"), answered("a2")]
    assert learn_rows(rows) == []


@pytest.mark.parametrize("column", ["user", "username", "owner", "ip", "channel", "Client IP"])
def test_two_people_have_two_conversations(learn_rows, column: str) -> None:
    rows = [
        *(asked("q1", **{column: "x"}), asked("q2", **{column: "y"})),
        *(answered("a1", **{column: "x"}), answered("a2", **{column: "y"})),
    ]
    assert learn_rows(rows) == [said("q1", "a1"), said("q2", "a2")]


def test_a_conversation_is_named_in_the_metadata_too(learn_rows) -> None:
    one, other = ({"user_id": 1, "metadata": {"conversation_id": name}} for name in "xy")
    rows = [asked("q1", **one), asked("q2", **other), answered("a1", **one), answered("a2", **other)]
    assert learn_rows(rows) == [said("q1", "a1"), said("q2", "a2")]


def test_messages_of_one_record_are_one_conversation(learn) -> None:
    messages = [asked("q1", user_id=7), answered("a1"), asked("q2", user_id=7), answered("a2", user_id=0)]
    assert learn({"messages": messages}) == [said("q1", "a1", "q2", "a2")]


def test_answers_that_nobody_asked_for_stay_the_conversation_that_they_are(learn_rows) -> None:
    assert learn_rows([answered("a1"), answered("a2")]) == [[("assistant", "a1"), ("assistant", "a2")]]
