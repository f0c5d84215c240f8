"""The order in which rows were said: by time where it runs backwards, along the branch that counts."""

import pytest
from pydantic import JsonValue

from engine.data.records.dialogue import Turn
from engine.data.records.order import Row, in_order, placed

ASKED, ANSWERED = Turn("user", "How deep?"), Turn("assistant", "Two fathoms.")
LEFT, NEXT = Turn("assistant", "No idea."), Turn("user", "And there?")


def said(*rows: Row) -> list[str]:
    return [row.turns[0].content for row in in_order(rows)]


@pytest.mark.parametrize(
    "times",
    [
        (2.0, 1.0),
        ("2025-01-01T10:00:01Z", "2025-01-01T10:00:00Z"),
        ("2025-01-01T11:00:00+02:00", "2025-01-01T08:59:00Z"),
        (1_740_000_001_000, 1_740_000_000),
        ("1740000001", "1740000000"),
        ("1740000001.25", "1740000000.75"),
        ("Mon, 17 Mar 2025 10:00:01 GMT", "Mon, 17 Mar 2025 10:00:00 GMT"),
        ("2025/03/17 10:00:01", "2025/03/17 10:00:00"),
        ("2025-03-17 10:00:01 UTC", "2025-03-17 10:00:00 UTC"),
        ("Mar 17, 2025, 10:00:01 AM", "Mar 17, 2025, 9:59:00 AM"),
        ("Monday, March 17, 2025 at 1:00 PM", "Monday, March 17, 2025 at 12:59 PM"),
        ({"$date": "2025-03-17T10:00:01Z"}, {"$date": "2025-03-17T10:00:00Z"}),
        ({"$date": {"$numberLong": "1740000001000"}}, {"$date": {"$numberLong": "1740000000000"}}),
        ({"_seconds": 1_740_000_001, "_nanoseconds": 0}, {"_seconds": 1_740_000_000, "_nanoseconds": 0}),
    ],
    ids=str,
)
def test_times_that_run_backwards_decide(times: tuple[JsonValue, JsonValue]) -> None:
    rows = [
        placed({"created_at": time, "a": 1, "b": 2}, [turn])
        for time, turn in zip(times, (ANSWERED, ASKED), strict=True)
    ]
    assert said(*rows) == ["How deep?", "Two fathoms."]


def test_rows_of_which_one_has_no_time_stay_where_they_are() -> None:
    assert said(Row((ASKED,), time=2.0), Row((ANSWERED,)), Row((NEXT,), time=1.0)) == [
        "How deep?",
        "Two fathoms.",
        "And there?",
    ]


def test_a_list_that_is_newest_first_turns_as_a_whole() -> None:
    rows = [Row((turn,), time=time) for turn, time in ((NEXT, 2.0), (ANSWERED, 1.0), (ASKED, 1.0))]
    assert said(*rows) == ["How deep?", "Two fathoms.", "And there?"]


@pytest.mark.parametrize("later", ["2", "3"])
def test_the_branch_with_the_newest_message_is_the_conversation(later: str) -> None:
    rows = [
        Row((ASKED,), name="1"),
        Row((LEFT,), name="2", parent="1"),
        Row((ANSWERED,), name="3", parent="1"),
        Row((NEXT,), name="4", parent=later),
    ]
    assert said(*rows) == ["How deep?", LEFT.content if later == "2" else ANSWERED.content, "And there?"]


def test_ranks_decide_before_the_newest() -> None:
    rows = [
        Row((ASKED,), name="1"),
        Row((ANSWERED,), name="2", parent="1", rank=0),
        Row((LEFT,), name="3", parent="1", rank=1),
    ]
    assert said(*rows) == ["How deep?", "Two fathoms."]


def test_messages_that_all_name_the_same_parent_are_no_tree() -> None:
    rows = [Row((turn,), name=str(number), parent="t") for number, turn in enumerate((ASKED, ANSWERED, NEXT))]
    assert said(*rows) == ["How deep?", "Two fathoms.", "And there?"]


def test_parents_that_go_in_circles_end() -> None:
    rows = [Row((ASKED,), name="1", parent="2"), Row((NEXT,), name="2", parent="1"), Row((NEXT,), name="3", parent="1")]
    assert said(*rows)


def test_what_was_deleted_or_hidden_says_nothing() -> None:
    assert placed({"role": "user", "content": "x", "deleted": True}, [ASKED]).turns == ()
    assert placed({"role": "user", "content": "x", "hidden": False}, [ASKED]).turns == (ASKED,)


def at(time: str, turn: Turn) -> Row:
    return placed({"time": time, "a": 1, "b": 2}, [turn])


@pytest.mark.parametrize("times", [("10:01", "10:00"), ("10:00:09", "10:00:05"), ("1:00 PM", "12:59 PM")])
def test_times_of_day_tell_that_a_list_is_turned_round(times: tuple[str, str]) -> None:
    assert said(at(times[0], ANSWERED), at(times[1], ASKED)) == ["How deep?", "Two fathoms."]


def test_times_of_day_may_run_past_midnight() -> None:
    assert said(at("23:59", ASKED), at("00:01", ANSWERED)) == ["How deep?", "Two fathoms."]
    other_day = [at("9:00", ASKED), at("9:01", ANSWERED), at("8:00", NEXT), at("8:01", LEFT)]
    assert said(*other_day) == ["How deep?", "Two fathoms.", "And there?", "No idea."]


def test_of_answers_that_were_regenerated_the_last_one_counts() -> None:
    asked, other = Row((ASKED,)), Row((LEFT,))
    anew = placed({"regenerated": True, "a": 1, "b": 2}, [ANSWERED])
    assert said(asked, other, anew) == ["How deep?", "Two fathoms."]
    assert said(asked, anew, other) == ["How deep?", "No idea."]
    assert said(asked, anew) == ["How deep?", "Two fathoms."]
    assert said(asked, other, Row((ANSWERED,))) == ["How deep?", "No idea.", "Two fathoms."]


def test_ids_that_count_down_tell_that_a_list_is_turned_round() -> None:
    assert said(Row((ANSWERED,), name="12"), Row((ASKED,), name="9")) == ["How deep?", "Two fathoms."]
    assert said(Row((ASKED,), name="12"), Row((ANSWERED,), name="9")) == ["How deep?", "Two fathoms."]
    assert said(Row((LEFT,), name="a"), Row((NEXT,), name="b")) == ["No idea.", "And there?"]


def test_a_time_that_is_too_large_is_none() -> None:
    assert placed({"created_at": 10**400, "a": 1, "b": 2}, [ASKED]).time is None


@pytest.mark.parametrize("places", [{"time": True}, {"name": True}], ids=["times", "ids"])
def test_answers_before_the_oldest_question_of_a_list_that_was_cut_are_context(places: dict[str, bool]) -> None:
    turns = [LEFT, NEXT, ANSWERED]
    rows = [
        Row((turn,), time=9.0 - at if "time" in places else None, name=str(9 - at) if "name" in places else "")
        for at, turn in enumerate(turns)
    ]
    assert [(row.turns[0].content, row.turns[0].weight) for row in in_order(rows)] == [
        ("Two fathoms.", 0),
        ("And there?", 1),
        ("No idea.", 1),
    ]
