"""A checkpoint as a version: the weights are the file's, and everything else is the run's."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine import disk, version
from engine.artifacts import ArtifactError
from engine.device import Placement
from engine.manifest import verify
from engine.publishing import checkpoint_to_version
from engine.training import run
from engine.training.spec import RunPaths
from tests.engine.training.conftest import MakePlan, Recording

CPU = Placement(torch.device("cpu"), torch.float32)
TEXT = "What is abs?"


def versions_in(places):
    return lambda number: places.target.with_name(f"{number:06d}")


def taken(places, checkpoint, number=9):
    target = versions_in(places)(number)
    manifest = checkpoint_to_version.publish(checkpoint, places.folder.parent, versions_in(places), target, number)
    assert verify(target) == manifest
    return version.load(target, CPU)


def checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.isdecimal())


def same_tensors(model, expected):
    found = model.state_dict()
    assert found.keys() == expected.keys()
    return all(torch.equal(found[name], weight) for name, weight in expected.items())


def test_each_checkpoint_of_a_run_can_be_a_version(
    places: RunPaths, plan: MakePlan, recording: type[Recording]
) -> None:
    run.learn(plan(epochs=3, keep_epochs=True, keep_checkpoints=2), places, recording())
    found, ids = checkpoints(places.folder / "checkpoints"), version.load(places.target, CPU).tokenizer.encode(TEXT)
    assert len(found) >= 3
    for number, checkpoint in enumerate(found, 2):
        loaded = taken(places, checkpoint, number)
        assert same_tensors(loaded.model, load_file(checkpoint / "model.safetensors"))
        assert (loaded.manifest.parent, loaded.manifest.cycle) == (None, None)
        assert loaded.manifest.metrics["steps"] == int(checkpoint.name)
        assert loaded.manifest.settings["imported"] == {"from": str(checkpoint)}
        assert loaded.tokenizer.encode(TEXT) == ids


def test_it_can_be_gone_on_from_as_from_any_version(
    places: RunPaths, plan: MakePlan, recording: type[Recording]
) -> None:
    run.learn(plan(max_steps=4), places, recording())
    first = taken(places, places.folder / "checkpoints/000004", 2)
    further = replace(
        places, folder=places.folder.with_name("further"), base=versions_in(places)(2), target=versions_in(places)(3)
    )
    manifest = run.learn(plan(version=3, base=2, max_steps=2), further, recording())
    assert manifest.parent == 2
    second = taken(further, further.folder / "checkpoints/000002", 4)
    assert second.manifest.parent == 2
    assert second.config == first.config
    assert not same_tensors(second.model, first.model.state_dict())


def test_what_came_from_elsewhere_is_still_taken_for_that(
    places: RunPaths, plan: MakePlan, recording: type[Recording]
) -> None:
    """Or what is learned next would have the rate of models from nothing, and no KL to hold it."""
    made = run.learn(plan(max_steps=1), places, recording())
    assert not taken(places, places.folder / "checkpoints/000001", 2).manifest.is_pretrained
    imported = made.model_copy(update={"pretrained": True})
    disk.write_json(places.target / "manifest.json", imported.model_dump(mode="json"))
    further = replace(
        places, folder=places.folder.with_name("further"), base=places.target, target=versions_in(places)(3)
    )
    run.learn(plan(version=3, base=1, max_steps=1), further, recording())
    assert taken(further, further.folder / "checkpoints/000001", 4).manifest.is_pretrained


def test_averages_are_what_such_a_run_serves(places: RunPaths, plan: MakePlan, recording: type[Recording]) -> None:
    run.learn(plan(max_steps=6, ema_decay=0.9), places, recording())
    checkpoint = places.folder / "checkpoints/000006"
    state = load_file(checkpoint / "optimizer.safetensors")
    averages = {name.removeprefix("average."): kept for name, kept in state.items() if name.startswith("average.")}
    assert averages
    assert same_tensors(taken(places, checkpoint).model, load_file(checkpoint / "model.safetensors") | averages)


def test_one_that_lies_elsewhere_finds_its_run_by_name(
    places: RunPaths, plan: MakePlan, recording: type[Recording], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "large disk"
    run.learn(plan(max_steps=2, checkpoint_folder=str(elsewhere)), places, recording())
    checkpoint = elsewhere / places.folder.name / "000002"
    assert same_tensors(taken(places, checkpoint).model, load_file(checkpoint / "model.safetensors"))


def test_what_is_none_or_damaged_is_refused_and_leaves_nothing(
    places: RunPaths, plan: MakePlan, recording: type[Recording], tmp_path: Path
) -> None:
    run.learn(plan(max_steps=2), places, recording())
    for none in (tmp_path / "nowhere", places.folder, places.folder / "checkpoints"):
        with pytest.raises(ArtifactError, match=rf"{none} is not a checkpoint; checkpoints are .*/checkpoints/000200"):
            taken(places, none)
    checkpoint = places.folder / "checkpoints/000002"
    weights = checkpoint / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.chmod(0o600)
    weights.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model\.safetensors"):
        taken(places, checkpoint)
    content[-1] ^= 1
    weights.write_bytes(content)
    (places.folder / "run.json").unlink()
    with pytest.raises(ArtifactError, match=r"cannot read the run that .* belongs to: .*run\.json"):
        taken(places, checkpoint)
    assert not versions_in(places)(9).exists()
