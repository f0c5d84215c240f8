"""What people thought of an answer is heeded, however it is written: what was bad is context only, or held."""

import pytest
from pydantic import JsonValue

from engine.data.records.content.ratings import verdict_in
from engine.data.samples import Dialogue, Preference
from tests.engine.data.records.content.conftest import samples, weight

BAD = (False, -1, "false", "bad", "down", "thumbs_down", "thumbs-down", "Dislike", "negative", "👎", {"rating": -1})
GOOD = (True, 1, "true", "good", "up", "thumbs_up", "thumbs-up", "Like", "positive", "👍", {"rating": 1})
VERDICTS = ("label", "kto_tag", "rating", "feedback", "thumb", "thumbs", "vote", "annotation")


@pytest.mark.parametrize("key", VERDICTS)
def test_an_answer_that_was_marked_as_bad_is_context_only(key: str) -> None:
    assert {repr(value): weight({key: value}) for value in BAD} == {repr(value): 0 for value in BAD}
    assert {repr(value): weight({key: value}) for value in GOOD} == {repr(value): 1 for value in GOOD}


@pytest.mark.parametrize("key", VERDICTS)
@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "a", "completion": "b"},
        {"instruction": "a", "output": "b"},
        {"question": "a", "answer": "b"},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    ],
    ids=["completion", "Alpaca", "question", "OpenAI", "ShareGPT"],
)
def test_a_record_that_was_marked_as_bad_is_held_and_never_learned(key: str, record: dict[str, object]) -> None:
    for value in BAD:
        (held,) = samples({**record, key: value})
        assert isinstance(held, Preference), value
        assert [answer.score for answer in held.answers] == [0]
    for value in GOOD:
        learned, held = samples({**record, key: value})
        assert isinstance(learned, Dialogue), value
        assert isinstance(held, Preference)


@pytest.mark.parametrize(
    "mark",
    [
        {"liked": False},
        {"thumbs_up": "false"},
        {"thumbs_down": 1},
        {"thumbs_up": 1, "thumbs_down": 3},
        {"is_good": "no"},
        {"is_rejected": True},
        {"correct": False},
        {"is_correct": "false"},
        {"desirable": False},
        {"label": "rejected"},
        {"feedback": {"rating": "thumbsDown"}},
        {"metadata": {"feedback": "thumbs_down"}},
        {"rating": -1},
        {"rating": 2},
        {"feedback": {"rating": "1/5"}},
        {"feedback": {"name": "user", "score": 0}},
        {"message_feedback": {"rating": "thumbsDown"}},
        {"like": False},
        {"dislike": True},
        {"downvotes": 3, "upvotes": 1},
        {"votes": -2},
        {"is_correct": 0},
        {"correct": 0},
        {"is_safe": False},
        {"toxic": True},
        {"emoji": "\U0001f44e"},
        {"rating": 4, "max_rating": 10},
        {"rating": "good", "flagged": True},
    ],
    ids=str,
)
def test_an_answer_that_was_marked_bad_is_known_as_bad(mark: dict[str, JsonValue]) -> None:
    assert verdict_in(mark) is False


@pytest.mark.parametrize(
    "mark",
    [{"liked": True}, {"is_rejected": "no"}, {"label": "accepted"}, {"thumbs": "up"}, {"correct": True}],
    ids=str,
)
def test_an_answer_that_was_marked_good_is_known_as_good(mark: dict[str, JsonValue]) -> None:
    assert verdict_in(mark) is True


@pytest.mark.parametrize(
    "mark",
    [
        {},
        {"rating": 4},
        {"thumbs_up": 3, "thumbs_down": 3},
        {"metadata": {"model": "x"}},
        {"score": 0},
        {"toxic": False},
        {"safe": True},
    ],
    ids=str,
)
def test_what_is_no_verdict_is_none(mark: dict[str, JsonValue]) -> None:
    assert verdict_in(mark) is None


@pytest.mark.parametrize(
    "rating", [2, "2", 0.2, "2/5", "2 stars", "1 Star", "\u2605\u2605\u2606\u2606\u2606", "\u2605"]
)
def test_a_low_rating_is_heeded_on_whatever_scale_it_is(rating: object) -> None:
    assert weight({"rating": rating}) == 0


@pytest.mark.parametrize(
    "rating", [3, 5, 10, 0.5, 0.9, "4/5", "3 stars", "\u2605\u2605\u2605\u2605\u2606", "\u2605" * 5, "**"]
)
def test_another_rating_forbids_nothing(rating: object) -> None:
    assert weight({"rating": rating}) == 1


@pytest.mark.parametrize(
    "marks",
    [
        {"reactions": ["\U0001f44e"]},
        {"reactions": [{"emoji": "\U0001f44e", "count": 1}, {"emoji": "\u2764"}]},
        {"feedback": {"thumbs": "down"}},
        {"feedback": {"name": "user", "value": 0}},
        {"user_rating": 2},
        {"userFeedback": "negative"},
        {"human_rating": "1/5"},
        {"quality": "low"},
        {"flagged": True},
        {"is_incorrect": "true"},
    ],
    ids=str,
)
def test_a_bad_mark_is_heeded_wherever_it_stands(marks: dict[str, object]) -> None:
    assert weight(marks) == 0


@pytest.mark.parametrize(
    "marks",
    [
        {"reactions": []},
        {"reactions": ["\U0001f44d"]},
        {"feedback": {"thumbs": "up"}},
        {"feedback": {"text": "ok"}},
        {"flagged": False},
        {"user_score": 1},
    ],
    ids=str,
)
def test_a_mark_that_is_not_bad_forbids_nothing(marks: dict[str, object]) -> None:
    assert weight(marks) == 1
