"""A snapshot keeps every kind of sample with its kind, and gives it back; older ones are read."""

import json
from pathlib import Path

from engine.data import snapshot
from engine.data.samples import Answer, Dialogue, Labelled, Message, Preference, Sample, Text, ToolCall
from engine.data.snapshot import Example, OnePass

ASKED, SAID = Message("user", "q"), Message("assistant", 'a "quoted", "sample": one')
SAMPLES: tuple[Sample, ...] = (
    Dialogue((ASKED, Message("assistant", "", (ToolCall("f", {"x": [1]}, "c"),), weight=0), SAID)),
    Text('plain, "conversation": text'),
    Preference((ASKED,), (Answer((SAID,), score=1.5), Answer((Message("assistant", "b"),), rank=2))),
    Labelled("text", "good", "mood"),
)


def test_what_is_written_is_read_with_its_kind(tmp_path: Path) -> None:
    examples = [Example(sample, sample.identity, "new", source='a "file":1') for sample in SAMPLES]
    snapshot.write(tmp_path / "made", examples, [])
    assert list(snapshot.train_examples(tmp_path / "made")) == examples
    lines = (tmp_path / "made" / "train.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["dialogue", "text", "preference", "labelled"]


def test_a_line_of_thord_0_1_0_is_read(tmp_path: Path) -> None:
    line = '{"identity": "i", "origin": "replay", "learn_from": 2, "source": "f:1", "conversation": {"text":"old"}}\n'
    (tmp_path / "train.jsonl").write_text(line)
    assert list(snapshot.train_examples(tmp_path)) == [Example(Text("old"), "i", "replay", 2, "f:1")]


def test_what_was_looked_at_beforehand_comes_again(tmp_path: Path) -> None:
    examples = [Example(Text(str(number)), str(number), "new") for number in range(5)]
    snapshot.write(tmp_path / "made", examples, [])
    one_pass = OnePass(tmp_path / "made")
    ahead = one_pass.ahead()
    assert [next(ahead), next(ahead)] == examples[:2]
    ahead.close()
    assert list(one_pass.all()) == examples
