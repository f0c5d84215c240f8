"""A first run whose length nobody set: decided once, bounded by minutes, and the same after a stop."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.data import shard, snapshot
from engine.data.samples import Answer, Conversation, Labelled, Message, Preference
from engine.training import dataset, run, speed
from engine.training.reporting.reporter import Stopped
from engine.training.spec import RunPaths
from engine.variation import Variation
from tests.engine.training.conftest import MakePlan, Recording, with_snapshot

OPEN = {
    "epochs": None,
    "batch_size": None,
    "gradient_accumulation": None,
    "learning_rate": None,
    "validate_every": None,
}


def test_it_is_as_long_as_the_minutes_allow_and_goes_on_to_the_same_weights(
    places: RunPaths, plan: MakePlan, recording: type[Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = plan(**OPEN, initial_minutes=1.0)
    monkeypatch.setattr(speed, "seconds_per_step", lambda *_: 4.0)
    whole = run.learn(asked, replace(places, folder=tmp_path / "whole", target=tmp_path / "whole-version"), recording())
    assert whole.metrics["steps"] == 15
    assert whole.settings["training"]["max_steps"] == 15
    assert whole.settings["training"]["learning_rate"] == whole.metrics["learning_rate"] == 1e-3

    with pytest.raises(Stopped):
        run.learn(asked, places, recording(stop_at=7))
    monkeypatch.setattr(speed, "seconds_per_step", lambda *_: pytest.fail("it was decided already"))
    seen = recording()
    again = run.learn(asked, places, seen)
    assert seen.began == [(7, 15)]
    assert again.sha256 == whole.sha256


def test_measuring_the_speed_changes_nothing(
    places: RunPaths, plan: MakePlan, recording: type[Recording], tmp_path: Path
) -> None:
    """The steps that are taken for it are thrown away."""
    measured = run.learn(plan(**OPEN, initial_minutes=1e-9), places, recording())
    elsewhere = replace(places, folder=tmp_path / "other", target=tmp_path / "other-version")
    told = run.learn(plan(**(OPEN | {"epochs": 3.0}), max_steps=1), elsewhere, recording())
    assert measured.metrics["steps"] == told.metrics["steps"] == 1
    assert measured.sha256 == told.sha256


def test_what_came_to_nothing_is_tried_at_another_rate(
    places: RunPaths, plan: MakePlan, recording: type[Recording]
) -> None:
    asked = plan(**OPEN, initial_minutes=1e-9).model_copy(update={"variation": Variation(rate=0.5, length=2.0)})
    assert run.learn(asked, places, recording()).metrics["learning_rate"] == 5e-4


def test_what_validates_is_as_the_snapshot_says(
    places: RunPaths, plan: MakePlan, recording: type[Recording], conversations: list[Conversation]
) -> None:
    folder = places.snapshot.with_name("divided")
    chosen = {one.identity for one in conversations[:7]}
    examples = [snapshot.Example(one, one.identity, "new", validates=one.identity in chosen) for one in conversations]
    assert snapshot.write(folder, examples, [], is_divided=True).validating == 7
    manifest = run.learn(plan(max_steps=1), replace(places, snapshot=folder), recording())
    assert len(shard.read(places.folder / "data" / "validation")) == 7
    assert manifest.metrics["text_bytes"] == sum(len(text.encode()) for one in conversations for text in one.texts)


def test_an_initial_run_reads_its_snapshot_once(
    places: RunPaths, plan: MakePlan, recording: type[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    open_file = Path.open

    def counting(path, *arguments, **options):
        opened.append(path.name)
        return open_file(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", counting)
    run.learn(plan(max_steps=1), places, recording())
    assert opened.count("train.jsonl") == 1


def test_a_snapshot_of_before_gives_the_same_choice_and_the_same_rows(
    places: RunPaths, plan: MakePlan, recording: type[Recording], tmp_path: Path
) -> None:
    """Its manifest names no candidates, its lines no kind."""
    once = tmp_path / "once"
    once.mkdir()
    for name in ("train.jsonl", "held_out.jsonl"):
        lines = (
            (places.snapshot / name)
            .read_text()
            .replace('"kind": "dialogue", ', "")
            .replace('"sample"', '"conversation"')
        )
        (once / name).write_text(lines)
    manifest = json.loads((places.snapshot / "manifest.json").read_text())
    del manifest["candidates"]
    (once / "manifest.json").write_text(json.dumps(manifest))
    assert dataset.chosen_to_validate(once, 0.2) == dataset.chosen_to_validate(places.snapshot, 0.2)
    new = run.learn(plan(max_steps=1), places, recording())
    old = run.learn(
        plan(max_steps=1),
        replace(places, snapshot=once, folder=tmp_path / "old", target=tmp_path / "old-version"),
        recording(),
    )
    assert new.sha256 == old.sha256


def test_what_the_objective_does_not_learn_never_reaches_a_shard(
    places: RunPaths, plan: MakePlan, recording: type[Recording], conversations: list[Conversation]
) -> None:
    """A preference and a labelled text in a snapshot are left out, and nothing of them is learned as text."""
    others = (
        Preference(
            (Message("user", "q"),), (Answer((Message("assistant", "a"),)), Answer((Message("assistant", "b"),)))
        ),
        Labelled("some text", "a label"),
    )
    run.learn(plan(max_steps=1), with_snapshot(places, [*others, *conversations]), recording())
    parts = [shard.read(places.folder / "data" / name) for name in ("train", "validation")]
    assert sum(map(len, parts)) == len(conversations)
