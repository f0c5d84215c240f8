"""AdamW with small moments, against torchao's own and against what AdamW takes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torchao.optim import AdamW8bit

from engine.config.training import TrainingSettings
from engine.training import run
from engine.training.optimizers import registry as optimizers
from engine.training.reporting.reporter import Stopped
from engine.training.spec import RunPaths
from tests.engine.training.conftest import MakePlan, Recording

SETTINGS = TrainingSettings(optimizer="adamw8bit", weight_decay=0.3, embedding_weight_decay=0.3)


def named(model):
    return dict(model.named_parameters())


def model():
    """Two matrices that fill their blocks, one that does not, one that is small, and what is no matrix."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 128), nn.Linear(128, 64), nn.Linear(64, 65), nn.Linear(65, 3))


def take(one, step, count, first=0) -> None:
    for number in range(first, first + count):
        one.zero_grad()
        one(torch.full((8, 64), 0.1 * number).cumsum(1).sin()).square().sum().backward()
        step()


def test_it_is_that_of_torchao(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is told not to compile. Where a moment lies between two codes either may be taken."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    ours, theirs = model(), model()
    optimizer = optimizers.make(named(ours), (), SETTINGS, torch.float32)
    groups = [
        {"params": [w for w in theirs.parameters() if w.ndim == 2], "weight_decay": 0.3},
        {"params": [w for w in theirs.parameters() if w.ndim == 1], "weight_decay": 0.0},
    ]
    reference = AdamW8bit(groups, lr=1e-3, betas=(SETTINGS.beta1, SETTINGS.beta2))
    take(ours, lambda: optimizer.step(1e-3), 6)
    take(theirs, reference.step, 6)
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert ((one - two).abs() < 1e-6).float().mean() > 0.99
        torch.testing.assert_close(one, two, atol=1e-3, rtol=0)


def test_restored_it_goes_on_bit_for_bit() -> None:
    whole, other = model(), model()
    first, second = (optimizers.make(named(each), (), SETTINGS, torch.float32) for each in (whole, other))
    take(whole, lambda: first.step(1e-2), 3)
    other.load_state_dict(whole.state_dict())
    second.restore({name: tensor.clone() for name, tensor in first.state().items()})
    take(whole, lambda: first.step(1e-2), 2, first=3)
    take(other, lambda: second.step(1e-2), 2, first=3)
    assert all(torch.equal(one, two) for one, two in zip(whole.parameters(), other.parameters(), strict=True))


def test_its_state_takes_a_quarter() -> None:
    large = nn.Linear(1024, 1024, bias=False)
    sizes = [
        sum(tensor.nbytes for tensor in optimizers.make(named(large), (), settings, torch.float32).state().values())
        for settings in (SETTINGS, TrainingSettings())
    ]
    assert sizes[0] < 0.26 * sizes[1]


def test_a_run_learns_with_it_and_a_stopped_one_goes_on_to_the_same_weights(
    places: RunPaths, plan: MakePlan, recording: type[Recording], tmp_path: Path
) -> None:
    eight = plan(optimizer="adamw8bit", max_steps=12)
    seen = recording()
    quiet = replace(places, folder=tmp_path / "quiet", target=tmp_path / "versions" / "quiet")
    expected = run.learn(eight, quiet, seen)
    assert seen.figures[-1].loss < 0.9 * seen.figures[0].loss
    with pytest.raises(Stopped):
        run.learn(eight, places, recording(stop_at=5))
    assert run.learn(eight, places, recording()).sha256 == expected.sha256


def test_without_torchao_it_is_refused_at_once(
    places: RunPaths, plan: MakePlan, recording: type[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(run.ImpossiblePlanError, match="pip install torchao"):
        run.learn(plan(optimizer="adamw8bit"), places, recording())
