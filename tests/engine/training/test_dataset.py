"""What of a snapshot is trained on and what is validated with."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.data import shard, snapshot, validation
from engine.data.samples import Conversation, Dialogue, Message
from engine.training import dataset, run
from engine.training.spec import RunPaths
from tests.engine.training.conftest import MakePlan, Recording, with_snapshot


def test_validation_conversations_are_never_trained_on(
    places: RunPaths, plan: MakePlan, conversations: list[Conversation], recording: type[Recording]
) -> None:
    run.learn(plan(max_steps=1), places, recording())
    held = dataset.chosen_to_validate(places.snapshot, 0.2)
    assert 0.1 < len(held) / len(conversations) < 0.3
    train, validation = (shard.read(places.folder / "data" / part) for part in ("train", "validation"))
    assert len(train) + len(validation) == len(conversations)
    assert len(validation) == len(held)
    fewer = with_snapshot(places, conversations[::2])
    assert dataset.chosen_to_validate(fewer.snapshot, 0.2) <= held


def test_what_tests_is_neither_trained_on_nor_validated_with(
    places: RunPaths, plan: MakePlan, conversations: list[Conversation], recording: type[Recording]
) -> None:
    """And leaves validation as it is without it."""
    run.learn(plan(max_steps=1, test_share=0.1), places, recording())
    held = dataset.chosen_to_validate(places.snapshot, 0.2)
    tested = dataset.chosen_to_test(places.snapshot, 0.1, held)
    assert not tested & held
    assert len(tested) == validation.how_many(len(conversations) - len(held), 0.1) == 10
    sizes = [len(shard.read(places.folder / "data" / part)) for part in ("train", "validation", "test")]
    assert sizes == [len(conversations) - len(held) - len(tested), len(held), len(tested)]
    assert dataset.chosen_to_test(places.snapshot, 0.0, held) == frozenset()


def test_what_was_learned_before_does_not_test(tmp_path: Path, conversations: list[Conversation]) -> None:
    replayed = [snapshot.Example(one, one.identity, "replay") for one in conversations]
    snapshot.write(tmp_path / "snapshot", replayed, [], is_divided=True)
    assert dataset.chosen_to_test(tmp_path / "snapshot", 0.5, None) == frozenset()


def test_copies_are_trained_on_and_not_validated_with(
    places: RunPaths, plan: MakePlan, conversations: list[Conversation], recording: type[Recording], tmp_path: Path
) -> None:
    run.learn(plan(max_steps=1), places, recording())
    again = replace(places, folder=tmp_path / "again", target=tmp_path / "again-version")
    run.learn(plan(max_steps=1, augmented_copies=2), again, recording())
    sizes = [
        [len(shard.read(one.folder / "data" / part)) for part in ("train", "validation")] for one in (places, again)
    ]
    assert 1.5 * sizes[0][0] < sizes[1][0] <= 3 * sizes[0][0]
    assert sizes[1][1] == sizes[0][1]


def test_nothing_supervised_is_said(places: RunPaths, plan: MakePlan, recording: type[Recording]) -> None:
    mute = [Dialogue(messages=(Message("user", f"{n}?"),)) for n in range(20)]
    with pytest.raises(dataset.NothingToLearnError, match="no assistant turn"):
        run.learn(plan(), with_snapshot(places, mute), recording())
