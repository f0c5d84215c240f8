"""Identity and beginnings, and the canonical form of every kind."""

import hashlib
import io
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.data.canonical import from_canonical
from engine.data.digest import digest_of
from engine.data.held_out import is_held_out
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.samples import (
    ROLES,
    Answer,
    Dialogue,
    Labelled,
    LabelledSpan,
    Message,
    Preference,
    Provenance,
    Text,
    ToolCall,
)

MESSAGES = st.lists(
    st.tuples(st.sampled_from(ROLES), st.text(st.characters(exclude_categories=["Cs"]), min_size=1)).map(
        lambda said: Message(*said)
    ),
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


def test_what_was_known_before_has_the_identity_that_it_had():
    """The golden file was written by the version that stored conversations, before there were samples."""
    for entry in json.loads((Path(__file__).parent / "golden_identities.json").read_text()):
        found = [item.sample for item in read_known(io.BytesIO(entry["file"].encode()), Limits())]
        assert [
            {
                "identity": sample.identity,
                "group": sample.group,
                "beginnings": sample.prefix_identities() if isinstance(sample, Dialogue) else [],
            }
            for sample in found
        ] == entry["samples"], entry["file"]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
FULL_MESSAGES = st.builds(
    Message,
    st.sampled_from(ROLES),
    WORDS,
    st.lists(st.builds(ToolCall, NAMES, VALUES, NAMES), max_size=2).map(tuple),
    NAMES,
    NAMES,
    st.sampled_from([0, 1]),
    st.none() | st.lists(VALUES, min_size=1, max_size=2),
)
TURNS = st.lists(FULL_MESSAGES, min_size=1, max_size=4).map(tuple)
SCORES = st.none() | st.floats(allow_nan=False, allow_infinity=False)
LABELS = WORDS | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
SAMPLES = st.one_of(
    st.builds(Dialogue, TURNS),
    st.builds(Text, WORDS),
    st.builds(
        Preference,
        TURNS,
        st.lists(st.builds(Answer, TURNS, SCORES, st.none() | st.integers(1, 9)), min_size=1, max_size=3).map(tuple),
        st.builds(Provenance, st.sampled_from(["file", "feedback"]), NAMES, st.none() | st.integers(1, 99)),
    ),
    st.builds(
        Labelled,
        WORDS,
        st.none() | LABELS | st.lists(LABELS, max_size=2).map(tuple),
        NAMES,
        WORDS,
        st.lists(st.builds(LabelledSpan, st.integers(0, 9), st.integers(0, 9), NAMES), max_size=2).map(tuple),
    ),
)


@given(SAMPLES)
def test_the_canonical_form_is_one_line_that_gives_the_sample_back(sample):
    assert "\n" not in sample.canonical
    again = from_canonical(sample.canonical)
    assert again == sample
    assert (again.identity, again.group, again.kind) == (sample.identity, sample.group, sample.kind)


@given(SAMPLES | st.builds(Dialogue, MESSAGES))
def test_the_digest_says_at_once_what_the_properties_say(sample):
    beginnings = []
    if isinstance(sample, Dialogue):
        shorter = [Dialogue(sample.messages[:end]) for end in range(len(sample.messages) - 1, 0, -1)]
        beginnings = [one.identity for one in shorter if any(m.role == "assistant" for m in one.messages)]
    assert digest_of(sample) == (sample.canonical.encode(), sample.identity, tuple(beginnings), sample.group)


def test_a_turn_of_weight_0_makes_another_sample_and_is_not_supervised():
    learned = Dialogue((Message("user", "q"), Message("assistant", "four"), Message("assistant", "eleven")))
    half = Dialogue((Message("user", "q"), Message("assistant", "four", weight=0), Message("assistant", "eleven")))
    assert learned.identity != half.identity
    assert learned.group == half.group
    assert (learned.supervised_bytes, half.supervised_bytes) == (10, 6)


def test_a_name_makes_no_other_sample_and_a_tool_call_is_the_text_that_it_is_learned_as():
    call = ToolCall("add", {"a": 1}, "c1")
    plain = Dialogue((Message("user", "q"), Message("assistant", "so:\n" + call.text)))
    called = Dialogue((Message("user", "q", name="Ada"), Message("assistant", "so:", (call,))))
    assert plain.identity == called.identity
    assert plain.texts == called.texts
