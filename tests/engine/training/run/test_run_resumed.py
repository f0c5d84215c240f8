"""Runs that are killed with SIGKILL end with the very weights of a run that was not."""

import json
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.data.samples import Conversation
from engine.device import ImpossiblePlacementError
from engine.manifest import verify
from engine.training import run
from engine.training.reporting.reporter import Stopped
from engine.training.spec import RunPaths
from tests.engine.training.conftest import Attempts, MakePlan, Recording, write_snapshot


@pytest.fixture(scope="module")
def undisturbed(
    attempt: Attempts, plan: MakePlan, conversations: list[Conversation], tmp_path_factory: pytest.TempPathFactory
):
    """The sum of the weights that the run should end with."""
    home = tmp_path_factory.mktemp("quiet")
    folder = write_snapshot(home / "snapshot", conversations)
    assert attempt(plan(), RunPaths(home / "run", folder, None, home / "version")) == 0
    return verify(home / "version").sha256


def test_two_undisturbed_runs_are_equal(attempt: Attempts, places: RunPaths, plan: MakePlan, undisturbed: str) -> None:
    assert attempt(plan(), places) == 0
    assert verify(places.target).sha256 == undisturbed


def test_killed_at_random_moments(attempt: Attempts, places: RunPaths, plan: MakePlan, undisturbed: str) -> None:
    """Later and later, so that there are kills on a fast machine and an end on a slow one."""
    moments, kills = random.Random(3), 0
    while (status := attempt(plan(), places, kill_after=moments.uniform(0.5, 1.0) * 0.1 * 1.25**kills)) != 0:
        assert status == -9
        kills += 1
    assert kills >= 2
    assert verify(places.target).sha256 == undisturbed


def test_two_threads_add_up_alike_each_time(
    attempt: Attempts, places: RunPaths, plan: MakePlan, tmp_path: Path
) -> None:
    settings = {"threads": 2, "max_steps": 8}
    elsewhere = replace(places, folder=tmp_path / "quiet", target=tmp_path / "quiet-version")
    assert attempt(plan(**settings), elsewhere) == 0
    assert attempt(plan(**settings), places, kill_at=40) == -9
    assert attempt(plan(**settings), places) == 0
    assert verify(places.target).sha256 == verify(elsewhere.target).sha256


def test_killed_at_every_kind_of_moment_of_a_write(
    attempt: Attempts, places: RunPaths, plan: MakePlan, undisturbed: str
) -> None:
    """Before each fsync, rename and removal in turn: in the first files, in checkpoints, in the publication."""
    for operation in (1, 2, 3, 5, 8, 11, 9, 7, 13, 6, 17, 10, 4, 12):
        status = attempt(plan(), places, kill_at=operation)
        if status == 0:
            break
        assert status == -9
        if places.target.exists():
            verify(places.target)
    else:
        assert attempt(plan(), places) == 0
    assert verify(places.target).sha256 == undisturbed
    assert not list(places.target.parent.glob(".tmp-*"))


def test_killed_while_publishing(attempt: Attempts, places: RunPaths, plan: MakePlan, undisturbed: str) -> None:
    assert attempt(plan(), places) == 0
    shutil.rmtree(places.target)
    for operation in range(1, 11):  # the summary; four files, their folder, the rename; then the folder above
        status = attempt(plan(), places, kill_at=operation)
        assert status == -9
        if places.target.exists():
            verify(places.target)
    assert list(places.target.parent.glob(".tmp-*"))
    shutil.rmtree(places.target, ignore_errors=True)
    assert attempt(plan(), places) == 0
    assert verify(places.target).sha256 == undisturbed
    assert not list(places.target.parent.glob(".tmp-*"))


def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    attempt: Attempts, places: RunPaths, plan: MakePlan, undisturbed: str, recording: type[Recording]
) -> None:
    with pytest.raises(Stopped):
        run.learn(plan(), places, recording(stop_at=9))
    steps = sorted(int(folder.name) for folder in (places.folder / "checkpoints").iterdir())
    assert steps[-1] == 9
    assert steps[-2] == 8
    file = places.folder / "checkpoints" / "000009" / "optimizer.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    (places.folder / "checkpoints" / "000008" / "model.safetensors").unlink()
    resumed = recording(stop_at=0)
    with pytest.raises(Stopped):
        run.learn(plan(), places, resumed)
    assert resumed.began[0][0] == steps[-3]
    assert attempt(plan(), places) == 0
    assert verify(places.target).sha256 == undisturbed


def test_a_resumed_run_keeps_what_it_began_with(
    attempt: Attempts, places: RunPaths, plan: MakePlan, undisturbed: str, recording: type[Recording]
) -> None:
    """Settings that changed in between are of no account, and metrics hold each step once."""
    with pytest.raises(Stopped):
        run.learn(plan(), places, recording(stop_at=6))
    (places.folder / "metrics.jsonl").open("a").write('{"step": 7, "loss": 1.0}\n{"step": 8, "lo')
    assert attempt(plan(learning_rate=1e-6, epochs=9, threads=2), places) == 0
    assert verify(places.target).sha256 == undisturbed
    lines = [json.loads(line) for line in (places.folder / "metrics.jsonl").read_text().splitlines()]
    trained = [line["step"] for line in lines if "loss" in line]
    assert trained == list(range(1, trained[-1] + 1))
    validated = [line["step"] for line in lines if "validation_loss" in line]
    assert validated == [*range(0, trained[-1], 3), trained[-1]]


def test_checkpoints_may_lie_elsewhere_and_another_run_does_not_take_them(
    places: RunPaths, plan: MakePlan, recording: type[Recording], tmp_path: Path
) -> None:
    elsewhere = {"checkpoint_folder": str(tmp_path / "large-disk"), "max_steps": 8}
    with pytest.raises(Stopped):
        run.learn(plan(**elsewhere), places, recording(stop_at=5))
    assert (tmp_path / "large-disk" / "run" / "000005").is_dir()
    assert not (places.folder / "checkpoints").exists()
    resumed = recording()
    first = run.learn(plan(**elsewhere), places, resumed)
    assert resumed.began[0][0] == 5
    other = replace(places, folder=tmp_path / "other" / "run", target=tmp_path / "versions" / "000003")
    with pytest.raises(run.ImpossiblePlanError, match="holds checkpoints of another run"):
        run.learn(plan(**elsewhere), other, recording())
    at_home = replace(places, folder=tmp_path / "home" / "run", target=tmp_path / "versions" / "000004")
    assert run.learn(plan(max_steps=8), at_home, recording()).sha256 == first.sha256


def test_a_finished_run_is_found_done(places: RunPaths, plan: MakePlan, recording: type[Recording]) -> None:
    first = run.learn(plan(), places, recording())
    again = recording()
    assert run.learn(plan(), places, again) == first
    assert again.began == []


def test_another_plan_starts_anew(places: RunPaths, plan: MakePlan, recording: type[Recording]) -> None:
    with pytest.raises(Stopped):
        run.learn(plan(), places, recording(stop_at=5))
    fresh = recording(stop_at=1)
    with pytest.raises(Stopped):
        run.learn(plan(version=2), replace(places, target=places.target.with_name("000002")), fresh)
    assert fresh.began[0][0] == 0


def test_a_run_that_began_on_a_gpu_says_that_there_is_none_any_more(
    places: RunPaths, plan: MakePlan, recording: type[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stopped):
        run.learn(plan(), places, recording(stop_at=2))
    file = places.folder / run.RECORD
    file.write_text(json.dumps(json.loads(file.read_text()) | {"device": "cuda"}))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ImpossiblePlacementError, match="began on a GPU"):
        run.learn(plan(), places, recording())


@pytest.mark.parametrize(("name", "size"), [("ids.i32", 13), ("supervised.u8", 0), ("starts.i64", None)])
def test_tokenised_data_that_was_cut_short_is_made_anew(
    name: str, size: int | None, places: RunPaths, plan: MakePlan, recording: type[Recording], tmp_path: Path
) -> None:
    whole = replace(places, folder=tmp_path / "whole", target=tmp_path / "whole-version")
    expected = run.learn(plan(max_steps=4), whole, recording())
    with pytest.raises(Stopped):
        run.learn(plan(max_steps=4), places, recording(stop_at=2))
    file = places.folder / "data" / "train" / name
    file.unlink() if size is None else os.truncate(file, size)
    assert run.learn(plan(max_steps=4), places, recording()).sha256 == expected.sha256
