"""Identity and beginnings."""

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from engine.data.conversation import ROLES, Conversation, Message

MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(ROLES), st.text(st.characters(exclude_categories=["Cs"]), min_size=1)),
    min_size=1,
    max_size=6,
).map(tuple)


@given(MESSAGES)
def test_beginnings_have_the_identity_of_the_shorter_conversation(messages):
    beginnings = [Conversation(messages=messages[:end]).identity for end in range(len(messages) - 1, 0, -1)]
    assert Conversation(messages=messages).prefix_identities() == beginnings


@given(MESSAGES)
def test_identity_is_the_sum_of_the_compact_json(messages):
    text = json.dumps({"messages": [[m.role, m.content] for m in messages]}, ensure_ascii=False, separators=(",", ":"))
    assert Conversation(messages=messages).identity == hashlib.sha256(text.encode()).hexdigest()
