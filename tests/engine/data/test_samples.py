"""Identity and beginnings."""

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from engine.data.held_out import is_held_out
from engine.data.samples import ROLES, Dialogue, Message

MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(ROLES), st.text(st.characters(exclude_categories=["Cs"]), min_size=1)),
    min_size=1,
    max_size=6,
).map(tuple)


@given(MESSAGES)
def test_beginnings_have_the_identity_of_the_shorter_conversation(messages):
    beginnings = [Dialogue(messages=messages[:end]).identity for end in range(len(messages) - 1, 0, -1)]
    assert Dialogue(messages=messages).prefix_identities() == beginnings


@given(MESSAGES)
def test_identity_is_the_sum_of_the_compact_json(messages):
    text = json.dumps({"messages": [[m.role, m.content] for m in messages]}, ensure_ascii=False, separators=(",", ":"))
    assert Dialogue(messages=messages).identity == hashlib.sha256(text.encode()).hexdigest()


def dialogue(*turns):
    return Dialogue(messages=tuple(Message(role, content) for role, content in turns))


GREETING = ("assistant", "How can I help?")


def test_what_begins_alike_is_of_one_group_up_to_what_the_user_says_first():
    asked = dialogue(("user", "Who?"))
    assert asked.group == dialogue(("system", "Be kind."), ("user", "Who?"), ("assistant", "Me.")).group
    assert asked.group == dialogue(("user", "Who?"), ("user", "Are you there?"), ("assistant", "Yes.")).group
    greeted = dialogue(GREETING, ("user", "Who?"))
    assert greeted.group == dialogue(("system", "Be kind."), GREETING, ("user", "Who?"), ("assistant", "Me.")).group
    assert len({one.group for one in (asked, greeted, dialogue(GREETING), dialogue(GREETING, ("user", "Why?")))}) == 4
    assert dialogue(GREETING).group == dialogue(GREETING, ("assistant", "Still there?")).group


def test_of_a_collection_with_one_greeting_a_share_is_held_out():
    collection = [dialogue(GREETING, ("user", f"What is {number}?"), ("assistant", "?")) for number in range(400)]
    assert 20 <= sum(is_held_out(one, 0.1) for one in collection) <= 60
