"""Preferences and labelled samples are kept and counted, and no cycle gets them."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data import snapshot
from engine.data.samples import Answer, Dialogue, Labelled, Message, Preference, Sample, Text, ToolCall

WORDS = st.text('ab é\U0001f600"\\', min_size=1, max_size=9)
MESSAGES = st.lists(
    st.builds(
        Message,
        st.sampled_from(["user", "assistant", "tool"]),
        WORDS,
        st.lists(st.builds(ToolCall, WORDS, st.dictionaries(WORDS, st.integers(), max_size=2), WORDS), max_size=1).map(
            tuple
        ),
        WORDS,
        WORDS,
        st.sampled_from([0, 1]),
        st.none(),
    ),
    min_size=1,
    max_size=4,
).map(tuple)
SAMPLES = st.one_of(
    MESSAGES.map(Dialogue),
    WORDS.map(Text),
    st.builds(
        Preference, MESSAGES, st.lists(st.builds(Answer, MESSAGES, st.none() | st.floats(0, 9)), min_size=1).map(tuple)
    ),
    st.builds(Labelled, WORDS, WORDS | st.integers(0, 3), WORDS),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(SAMPLES, min_size=1, max_size=6))
def test_every_kind_comes_back_from_the_ledger_and_only_what_is_learned_from_the_snapshot(
    new_shelf, samples: list[Sample]
) -> None:
    shelf = new_shelf()
    kept: dict[str, Sample] = {}
    with shelf.ledger.transaction():
        for sample in samples:
            if shelf.ledger.samples.covering(sample.identity) is None and isinstance(
                sample, Text | Preference | Labelled
            ):
                kept[sample.identity] = sample
            shelf.add(sample)
    stored = {sample.identity: sample for _, _, sample in shelf.rows()}
    assert kept.items() <= stored.items()
    assert set(kept) | {s.identity for s in stored.values() if isinstance(s, Dialogue)} == set(stored)
    counts = shelf.ledger.counts()
    assert counts.held == sum(sample.kind in ("preference", "labelled") for sample in stored.values())
    assert sum(counts.by_kind.values()) == len(stored)
    shelf.assign(1)
    folder = shelf.folder / "snapshot"
    snapshot.write(folder, shelf.chosen(1), [])
    learned = {example.identity: example.sample for example in snapshot.train_examples(folder)}
    assert learned == {i: s for i, s in stored.items() if isinstance(s, Dialogue | Text)}
    shelf.ledger.close()


def test_what_is_held_is_counted_once_and_only_what_was_preferred_is_collected(intake) -> None:
    rows = [
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        {"prompt": "q", "completion": "bad", "label": False},
        {"prompt": "q", "responses": ["x", "y"], "scores": [1, 2]},
        {"text": "walk", "label": "outdoors"},
        {"text": "only text"},
        {"nothing": "of use"},
    ]
    file = intake.inbox / "chats" / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    intake.scan()
    told = intake.scan(files=(str(file),))
    assert (told.added, told.held, told.quarantined, dict(told.read_as)) == (4, 4, 1, {"lines": 1})
    (read,) = told.files
    assert (read.format, read.conversations, read.turns, read.texts) == ("lines", 2, 4, 2)
    assert (read.preferences, read.labelled, read.held, read.refused_records) == (3, 1, 4, 1)
    assert [record.line for record in read.refused] == [6]
    counts = intake.counts()
    assert counts.pop("quarantined") == 1
    assert counts.pop("held") == 4
    assert sum(counts.values()) == 4
    assert dict(intake.query("SELECT kind, sum(number) FROM counts WHERE kind <> '' GROUP BY kind")) == {
        "dialogue": 2, "text": 2, "preference": 3, "labelled": 1,
    }  # fmt: skip
    file.with_name("again.jsonl").write_bytes(file.read_bytes())
    intake.scan()
    assert intake.counts()["held"] == 4
    intake.collect(1)
    collected = {example.sample for part in intake.snapshot(1) for example in part}
    assert {sample.texts for sample in collected} == {("q", "a"), ("q", "y"), ("walk",), ("only text",)}
