"""Folding: the version answers as the adapter did, is a base itself, and nothing that was learned is lost unnoticed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine import version
from engine.adapters import rank
from engine.adapters.adapter import A, Adapter, B
from engine.adapters.config import AdapterConfig
from engine.manifest import Base, read_manifest, verify
from engine.publishing import fold
from engine.publishing.fold import UnfoldableError
from engine.stored_weights import StoredWeights
from engine.training import run
from engine.training.spec import RunPaths
from tests.engine.test_stored_weights import BFLOAT16, FAMILIES, FLOAT32, Home, logits
from tests.engine.training.conftest import MakePlan, Recording


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Version 1 is in bf16, 2 an adapter for it."""
    made = Home(tmp_path / "versions", "thor")
    made.publish(2, made.moved(0.02), made.base)
    return made


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_it_answers_as_the_adapter_did_and_is_a_base(tmp_path: Path, family: str) -> None:
    home = Home(tmp_path / "versions", family)
    home.publish(2, home.moved(0.02), home.base)
    before = verify(home.at(1))
    folded = fold.publish(home.at(2), home.at(3), 3)
    assert (folded.base, folded.parent, folded.is_pretrained) == (None, 2, read_manifest(home.at(2)).is_pretrained)
    assert folded.settings["folded"] == {"adapter": "000002", "base": "000001"}
    assert torch.equal(logits(home.at(3), BFLOAT16), logits(home.at(2), BFLOAT16))
    assert not torch.equal(logits(home.at(3), BFLOAT16), logits(home.at(1), BFLOAT16))
    assert verify(home.at(1)) == before
    home.publish(4, home.new, Base(version=3, sha256=folded.sha256))
    assert torch.equal(logits(home.at(4), FLOAT32), logits(home.at(3), FLOAT32))


def test_what_has_weights_of_its_own_is_refused(home: Home) -> None:
    with pytest.raises(UnfoldableError, match=r"^version 000001 has weights of its own, not an adapter"):
        fold.publish(home.at(1), home.at(3), 3)
    assert not home.at(3).exists()


@pytest.mark.parametrize(
    ("size", "why"), [(0.0, "version 000004 changes nothing"), (1e-6, "rounding to torch.bfloat16.*would lose it")]
)
def test_what_would_be_lost_is_refused(home: Home, size: float, why: str) -> None:
    home.publish(4, home.moved(size), home.base)
    with pytest.raises(UnfoldableError, match=why):
        fold.publish(home.at(4), home.at(3), 3)
    assert not home.at(3).exists()


def test_a_base_that_was_not_merged_is_noticed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """As programs have shipped it: the merged model is the base."""
    home.publish(4, home.moved(0.5), home.base)
    monkeypatch.setattr(StoredWeights, "get", lambda self, name, dtype=None: self.base[name])
    with pytest.raises(UnfoldableError, match="merged into its base would answer differently"):
        fold.publish(home.at(4), home.at(3), 3)
    assert not home.at(3).exists()


def test_the_next_run_begins_a_new_adapter_where_the_last_ended(places: RunPaths, plan: MakePlan) -> None:
    lora = {"method": "lora", "lora": {"rank": 4, "alpha": 8.0}, "precision": "fp32", "max_steps": 6}
    every = {**lora, "validate_every": 6, "learning_rate": 2e-2}

    def at(number: int) -> Path:
        return places.target.with_name(f"{number:06d}")

    def learned(number: int, base: int) -> Recording:
        recording = Recording()
        here = replace(places, folder=places.folder.with_name(f"run-{number}"), base=at(base), target=at(number))
        run.learn(plan(number, base, **every), here, recording)
        return recording

    run.learn(plan(max_steps=2), places, Recording())
    first = learned(2, 1)
    folded = fold.publish(at(2), at(3), 3)
    second = learned(4, 3)
    assert second.validations[0][1] == pytest.approx(first.validations[-1][1], abs=1e-5)
    made = read_manifest(at(4))
    assert made.base == Base(version=3, sha256=folded.sha256)
    assert 0 < made.metrics["adapter_rank_used"] <= 1
    assert version.weights_of(at(4)).adapter is not None


def test_the_rank_that_is_used_is_that_of_the_change() -> None:
    draw = torch.Generator().manual_seed(0)

    def used(b_NR: torch.Tensor) -> float:
        a_RK = torch.linalg.qr(torch.randn(64, 8, generator=draw)).Q.t()
        return rank.used(Adapter(AdapterConfig(rank=8, alpha=8.0), {"m" + A: a_RK, "m" + B: b_NR}))

    assert used(torch.zeros(32, 8)) == 0
    assert used(torch.randn(32, 1, generator=draw) @ torch.randn(1, 8, generator=draw)) == pytest.approx(1 / 8)
    assert used(torch.linalg.qr(torch.randn(32, 8, generator=draw)).Q) == pytest.approx(1)
    half = torch.linalg.qr(torch.randn(32, 8, generator=draw)).Q.clone()
    half[:, 4:] = 0
    assert used(half) == pytest.approx(1 / 2)
