"""What is marked is heeded, however the mark is written: what is not to be learned, what was bad, what nobody saw."""

import json
from collections.abc import Callable

import pytest
from pydantic import JsonValue

from engine.data.records.content.marks import verdict_in
from engine.data.records.limits import FormatError, Limits
from engine.data.records.registry import parse
from engine.data.samples import Dialogue, Preference, Sample

NOT_LEARNED = (0, 0.0, False, "0", "false", "False")
LEARNED = (1, 1.0, True, "1", "true", "True", None)
BAD = (False, -1, "false", "bad", "down", "thumbs_down", "thumbs-down", "Dislike", "negative", "👎", {"rating": -1})
GOOD = (True, 1, "true", "good", "up", "thumbs_up", "thumbs-up", "Like", "positive", "👍", {"rating": 1})
VERDICTS = ("label", "kto_tag", "rating", "feedback", "thumb", "thumbs", "vote", "annotation")


def samples(record: object) -> list[Sample]:
    return [each for each in parse(json.loads(json.dumps(record)), Limits()) if not isinstance(each, FormatError)]


def weight(marks: dict[str, object]) -> int:
    """Of the first answer of two."""
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", **marks},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
    (found,) = samples({"messages": turns})
    assert isinstance(found, Dialogue)
    return found.messages[1].weight


@pytest.mark.parametrize(
    "key", ["weight", "train", "train_on", "training", "trainable", "loss", "loss_weight", "loss_mask"]
)
def test_a_turn_that_is_not_to_be_learned_is_context_only(key: str) -> None:
    assert {repr(value): weight({key: value}) for value in NOT_LEARNED} == {repr(value): 0 for value in NOT_LEARNED}
    assert {repr(value): weight({key: value}) for value in LEARNED} == {repr(value): 1 for value in LEARNED}
    with pytest.raises(FormatError, match="must be 1"):
        weight({key: 0.5})


@pytest.mark.parametrize("value", [0, 1, True])
def test_a_mask_that_may_mean_both_is_refused(value: object) -> None:
    with pytest.raises(FormatError, match="'mask' may mean both"):
        weight({"mask": value})


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


@pytest.mark.parametrize("mark", ["hidden", "is_hidden", "isHidden", "deleted", "isDeleted", "is_deleted", "internal"])
def test_what_nobody_was_to_see_is_no_turn(mark: str) -> None:
    def said(value: object) -> list[str]:
        turns = [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "x", mark: value},
            {"role": "assistant", "content": "b"},
        ]
        (found,) = samples({"messages": turns})
        return list(found.texts)

    for value in (True, 1, "true", "TRUE", "1", "t"):
        assert said(value) == ["a", "b"], value
    for value in (False, None, 0, "", "false", "FALSE", "0", "f"):  # tables hold strings
        assert said(value) == ["a", "x", "b"], value


def test_regenerated_answers_are_left_where_the_branch_says_so() -> None:
    def node(parent: str | None, role: str, text: str) -> dict[str, object]:
        return {"parent": parent, "message": {"author": {"role": role}, "content": {"parts": [text]}}}

    mapping = {"q": node(None, "user", "a"), "old": node("q", "assistant", "x"), "new": node("q", "assistant", "b")}
    (found,) = samples({"mapping": mapping, "current_node": "old"})
    assert found.texts == ("a", "x")


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
    "mark", [{}, {"rating": 4}, {"thumbs_up": 3, "thumbs_down": 3}, {"metadata": {"model": "x"}}, {"score": 0}], ids=str
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


SET = (True, 1, "true", "yes", "2025-01-01T10:00:00Z", {"by": "ann"})
NOT_SET = (False, 0, None, "", "false", "No", "0", [])


@pytest.mark.parametrize("mark", ["hidden", "isDeleted", "is_internal", "deleted_at"])
@pytest.mark.parametrize("where", [lambda marks: marks, lambda marks: {"metadata": marks}], ids=["beside", "metadata"])
def test_what_nobody_is_to_see_is_not_learned_wherever_the_mark_stands(mark: str, where: Callable[..., object]) -> None:
    asked, answered = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    for value, seen in (*((value, False) for value in SET), *((value, True) for value in NOT_SET)):
        marked = {**answered, "id": 7, **where({mark: value})}
        (talk,) = samples({"messages": [asked, marked, answered]})
        assert isinstance(talk, Dialogue)
        assert (value, len(talk.messages)) == (value, 3 if seen else 2)
        if seen:
            samples({"messages": [asked, answered], **where({mark: value})})
        else:
            with pytest.raises(FormatError, match=f"'{mark}'"):
                samples({"messages": [asked, answered], **where({mark: value})})


@pytest.mark.parametrize("mark", ["masked", "exclude", "ignored", "skip", "do_not_train"])
def test_what_is_excluded_is_context_only(mark: str) -> None:
    assert [weight({mark: value}) for value in (True, "yes", 1, False, None, 0, "false")] == [0, 0, 0, 1, 1, 1, 1]
    with pytest.raises(FormatError, match=f"'{mark}'"):
        samples({"prompt": "a", "completion": "b", mark: True})


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


TALK = [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "b"},
    {"role": "user", "content": "c"},
    {"role": "assistant", "content": "d"},
]


@pytest.mark.parametrize("key", ["weights", "loss_mask", "train_on_turn"])
@pytest.mark.parametrize("messages", ["messages", "conversations"])
def test_a_list_beside_messages_says_which_are_learned(key: str, messages: str) -> None:
    (found,) = samples({messages: TALK, key: [1, 0, False, True]})
    assert isinstance(found, Dialogue)
    assert [message.weight for message in found.messages if message.role == "assistant"] == [0, 1]
    with pytest.raises(FormatError, match=f"'{key}' must have a 1"):
        samples({messages: TALK, key: [1, 0]})
    with pytest.raises(FormatError, match=f"'{key}' must have a 1"):
        samples({messages: TALK, key: [1, 0, 0.5, 1]})


def test_a_masked_history_is_context_only() -> None:
    (found,) = samples({"messages": TALK, "mask_history": True})
    assert isinstance(found, Dialogue)
    assert [message.weight for message in found.messages if message.role == "assistant"] == [0, 1]


@pytest.mark.parametrize("mark", ["is_active", "selected", "visible"])
def test_an_answer_in_whose_place_another_one_counts_is_left_out(mark: str) -> None:
    asked, other = {"role": "user", "content": "a"}, {"role": "assistant", "content": "other", mark: False}
    (found,) = samples({"messages": [asked, other, {"role": "assistant", "content": "b", mark: True}], mark: False})
    assert found.texts == ("a", "b")


def test_an_answer_that_did_not_come_to_its_end_is_context_only() -> None:
    assert [weight({"status": status}) for status in ("incomplete", "Failed", "completed", None)] == [0, 0, 1, 1]
