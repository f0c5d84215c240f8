"""A run survives steps whose loss or gradient is not finite or far too large, and its checkpoints stay whole."""

import json
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine import artifacts, version
from engine.device import Placement
from engine.training import checkpoint, ema, run
from engine.training.checkpoint import Checkpoints
from engine.training.guard import MAX_ROLL_BACKS, DivergedError
from engine.training.objectives.language import MaskedCrossEntropy
from engine.training.optimizers.adamw import AdamW
from engine.training.spec import RunPaths
from tests.engine.training.conftest import MakePlan, Recording

CPU = Placement(torch.device("cpu"), torch.float32)


class Poisoned(MaskedCrossEntropy):
    """NaN in the gradient at the calls given."""

    def __init__(self, calls):
        super().__init__()
        self.calls, self.call = calls, 0

    def backward(self, model, batch, scale):
        sums = super().backward(model, batch, scale)
        if self.call in self.calls:
            next(iter(model.parameters())).grad.view(-1)[0] = math.nan
        self.call += 1
        return sums


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch):
    def at(calls):
        monkeypatch.setattr(run.objectives, "make", lambda *_: Poisoned(calls))

    return at


def test_a_step_with_nan_is_skipped(
    places: RunPaths, plan: MakePlan, recording: type[Recording], poison: Callable[[set[int]], None]
) -> None:
    poison({10})
    seen = recording()
    manifest = run.learn(plan(gradient_accumulation=1), places, seen)
    assert seen.stumbles == [(10, "skip")]
    assert 11 not in [figures.step for figures in seen.figures]
    assert math.isfinite(manifest.metrics["final_loss"])
    version.load(places.target, CPU, check_finite=True)


def test_a_row_of_them_goes_back_to_a_checkpoint_at_half_the_rate(
    places: RunPaths, plan: MakePlan, recording: type[Recording], poison: Callable[[set[int]], None]
) -> None:
    poison({9, 10, 11})
    seen = recording()
    run.learn(plan(gradient_accumulation=1, max_bad_steps=3, schedule="constant", warmup_share=0.0), places, seen)
    assert seen.stumbles == [(9, "skip"), (10, "skip"), (11, "roll back")]
    assert [step for step, _ in seen.began] == [0, 9]
    lines = [json.loads(line) for line in (places.folder / "metrics.jsonl").read_text().splitlines()]
    events = [(line["step"], line["event"], line["bad_gradient_norm"]) for line in lines if "event" in line]
    assert events == [(9, "skip", None), (10, "skip", None), (11, "roll back", None)]
    assert {figures.learning_rate for figures in seen.figures[:9]} == {5e-3}
    assert {figures.learning_rate for figures in seen.figures[9:]} == {2.5e-3}
    assert [figures.step for figures in seen.figures[9:]] == list(range(10, seen.began[0][1] + 1))
    version.load(places.target, CPU, check_finite=True)


def test_a_run_that_stays_bad_is_given_up(
    places: RunPaths, plan: MakePlan, recording: type[Recording], poison: Callable[[set[int]], None]
) -> None:
    poison(set(range(6, 1000)))
    seen = recording()
    with pytest.raises(DivergedError, match="learning_rate"):
        run.learn(plan(gradient_accumulation=1, max_bad_steps=2), places, seen)
    assert [action for _, action in seen.stumbles].count("roll back") == MAX_ROLL_BACKS
    assert not places.target.exists()


@pytest.fixture
def late_copies(monkeypatch: pytest.MonkeyPatch):
    """Copies that are not taken before weights or averages have changed, or had a moment to."""
    changed, copied, copy = threading.Event(), threading.Event(), checkpoint._copy

    def late(*tensors):
        changed.wait(0.2)
        try:
            return copy(*tensors)
        finally:
            copied.set()

    def after_a_save(save):
        def begin(*arguments):
            changed.clear()
            copied.clear()
            save(*arguments)

        return begin

    def telling(change):
        def tell(*arguments):
            change(*arguments)
            changed.set()
            copied.wait(0.4)

        return tell

    monkeypatch.setattr(checkpoint, "_copy", late)
    monkeypatch.setattr(Checkpoints, "save", after_a_save(Checkpoints.save))
    for owner, name in ((AdamW, "step"), (ema.Average, "follow"), (ema.Average, "_swap")):
        monkeypatch.setattr(owner, name, telling(getattr(owner, name)))


def test_a_checkpoint_holds_the_state_of_its_step_however_late_it_is_copied(
    places: RunPaths,
    plan: MakePlan,
    recording: type[Recording],
    poison: Callable[[set[int]], None],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """After an optimizer's step, and after one that is skipped, so that averages take the weights' place at once."""
    poison({2})
    settings = plan(
        max_steps=4, gradient_accumulation=1, ema_decay=0.9, validate_every=1, checkpoint_every=1, keep_checkpoints=9
    )
    late = replace(places, folder=tmp_path / "late", target=tmp_path / "late-version")
    run.learn(settings, places, recording())
    request.getfixturevalue("late_copies")
    run.learn(settings, late, recording())
    kept = sorted((places.folder / "checkpoints").rglob("*.safetensors"))
    assert len(kept) == 2 * 5
    for file in kept:
        assert artifacts.sha256_of(late.folder / file.relative_to(places.folder)) == artifacts.sha256_of(file), file


class Spiking(MaskedCrossEntropy):
    """A loss far beyond what it was, and finite, at the calls given."""

    def __init__(self, calls):
        super().__init__()
        self.calls, self.call = calls, 0

    def backward(self, model, batch, scale):
        sums = super().backward(model, batch, scale)
        self.call += 1
        return {name: value * (100 if self.call - 1 in self.calls else 1) for name, value in sums.items()}


def test_a_spike_is_skipped_and_a_row_of_them_rolled_back(
    places: RunPaths, plan: MakePlan, recording: type[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run.objectives, "make", lambda *_: Spiking({22, 25, 26}))
    seen = recording()
    run.learn(plan(gradient_accumulation=1, max_bad_steps=2, max_steps=30, early_stopping_patience=0), places, seen)
    assert seen.stumbles == [(22, "skip"), (25, "skip"), (26, "roll back")]
    assert [step for step, _ in seen.began] == [0, 24]
    assert [figures.step for figures in seen.figures][-1] == 30
