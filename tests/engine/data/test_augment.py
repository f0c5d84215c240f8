"""Changed copies: the user's turns only, a little, and the same each time."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data import augment
from engine.data.augment import with_copies
from engine.data.samples import Dialogue, Message, Text
from engine.data.snapshot import Example

QUESTION = "What does Python's built-in function enumerate return when it is given a Start value?"
DIALOGUE = Dialogue(
    messages=(Message("system", "Be Brief."), Message("user", QUESTION), Message("assistant", "An Iterator."))
)


def example(conversation):
    return Example(conversation, conversation.identity, "replay", 2, "here")


def test_only_what_the_user_says_changes():
    original, *copies = with_copies(example(DIALOGUE), 20, seed=1)
    assert original == example(DIALOGUE)
    assert len(copies) > 10
    for copy in copies:
        system, user, assistant = copy.sample.messages
        assert (system, assistant) == (DIALOGUE.messages[0], DIALOGUE.messages[2])
        assert user.content != QUESTION
        assert (copy.identity, copy.origin, copy.learn_from, copy.source) == (DIALOGUE.identity, "replay", 2, "here")
    assert len({copy.sample for copy in copies}) > 5


def test_the_same_each_time_and_others_with_another_seed():
    one, two, other = (list(with_copies(example(DIALOGUE), 10, seed)) for seed in (1, 1, 2))
    assert one == two != other


@given(st.text(max_size=60), st.integers(0, 99))
def test_any_text_stays_a_turn(text, seed):
    dialogue = Dialogue(messages=(Message("user", text), Message("assistant", "yes")))
    for copy in with_copies(example(dialogue), 4, seed):
        assert copy.sample.messages[0].content.strip() or copy.sample == dialogue


@pytest.mark.parametrize("change", augment.CHANGES)
def test_a_turn_stays_readable(change):
    """Letters stay where they are but for a few: at most a fifth of the words differ, capitals and the end apart."""
    for seed in range(20):
        found = change(QUESTION, random.Random(seed))
        words, expected = found.lower().rstrip("?").split(), QUESTION.lower().rstrip("?").split()
        missing = [word for word in expected if word not in words]
        assert len(missing) <= 0.4 * len(expected)
        assert len(found) > 0.6 * len(QUESTION)


def test_plain_text_has_no_copies():
    text = Text(text="Plain text.")
    assert list(with_copies(example(text), 5, seed=1)) == [example(text)]
