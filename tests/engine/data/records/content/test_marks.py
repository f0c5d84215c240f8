"""What is marked is heeded, however the mark is written: what is not to be learned, and what nobody saw."""

from collections.abc import Callable

import pytest

from engine.data.records.limits import FormatError
from engine.data.samples import Dialogue
from tests.engine.data.records.content.conftest import samples, weight

NOT_LEARNED = (0, 0.0, False, "0", "false", "False", "no")
LEARNED = (1, 1.0, True, "1", "true", "True", "yes", None)


@pytest.mark.parametrize(
    "key",
    ["weight", "train", "train_on", "training", "trainable", "loss", "loss_weight", "loss_mask", "learn", "supervised"],
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


@pytest.mark.parametrize(
    "mark",
    [
        {"superseded": True},
        {"is_draft": "true"},
        {"private": 1},
        {"status": "deleted"},
        {"visibility": "hidden"},
        {"is_latest": False},
        {"channel": "analysis"},
    ],
    ids=str,
)
def test_a_message_that_another_one_replaced_is_left_out(mark: dict[str, object]) -> None:
    asked, left = {"role": "user", "content": "a"}, {"role": "assistant", "content": "x", **mark}
    (found,) = samples({"messages": [asked, left, {"role": "assistant", "content": "b"}]})
    assert found.texts == ("a", "b")


@pytest.mark.parametrize("mark", [{"private": True}, {"status": "draft"}, {"is_latest": False}], ids=str)
def test_the_same_beside_a_conversation_means_something_else(mark: dict[str, object]) -> None:
    (found,) = samples({"messages": TALK, **mark})
    assert found.texts == ("a", "b", "c", "d")


def test_of_a_masked_history_the_last_answer_counts_also_where_the_user_speaks_last() -> None:
    (found,) = samples({"messages": [*TALK, {"role": "user", "content": "e"}], "mask_history": True})
    assert isinstance(found, Dialogue)
    assert [message.weight for message in found.messages if message.role == "assistant"] == [0, 1]


@pytest.mark.parametrize(
    "mark", [{"weight": "0"}, {"sample_weight": 0}, {"train": "no"}, {"loss_weight": "0.0"}], ids=str
)
def test_a_conversation_without_weight_is_refused(mark: dict[str, object]) -> None:
    with pytest.raises(FormatError, match="marked as not to be learned"):
        samples({"messages": TALK, **mark})
