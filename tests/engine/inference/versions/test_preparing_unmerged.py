"""An adapter beside its base: it answers as merged, and shares the weights of whichever version has them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.adapters.adapter import B
from engine.config.inference import Form
from engine.device import Placement
from engine.inference.runners import decoders
from engine.inference.versions import footprint, preparing
from engine.inference.versions.loaded_model import LoadedModel, shares
from engine.inference.versions.slots import Need, WeightSlots
from engine.native import library
from tests.engine.test_stored_weights import BFLOAT16, FLOAT32, Home

ROWS = 2
NEAR = {torch.float32: 1e-5, torch.bfloat16: 3e-2}  # of all scores, relative


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Version 1 is whole, 2 and 3 adapters for it."""
    made = Home(tmp_path / "versions", "thor")
    made.publish(2, made.moved(0.5), made.base)
    other = made.moved(0.5)
    factors = {name: -factor if name.endswith(B) else factor for name, factor in other.factors.items()}
    made.publish(3, other.with_factors(factors), made.base)
    return made


@pytest.fixture(params=["kernel", "torch"])
def computed_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "torch":
        monkeypatch.setattr(decoders.decoder, "make", lambda *_: None)
    elif library.kernel() is None:
        pytest.skip("no kernel is built")
    decoders.skeleton.cache_clear()  # it remembers who computes
    yield str(request.param)
    decoders.skeleton.cache_clear()


def load(home: Home, number: int, placement: Placement, chosen: Form, slots: WeightSlots) -> LoadedModel:
    model = preparing.load(
        home.at(number), placement, ROWS, "none", contextlib.nullcontext, chosen, in_memory=slots.in_memory
    )
    assert slots.admit(number, wait_seconds=0)
    slots.install(model)
    return model


def scores(model: LoadedModel) -> Tensor:
    cache, zero = model.model.make_cache(1, 32), torch.zeros(1, dtype=torch.long)
    with torch.inference_mode():
        return model.model.logits(model.model.step(torch.arange(20)[None], cache, zero, zero)[0]).float()


@pytest.mark.parametrize("placement", [FLOAT32, BFLOAT16])
def test_it_answers_as_merged_and_shares_the_base_that_serves(
    home: Home, placement: Placement, computed_by: str
) -> None:
    slots = WeightSlots(drain_seconds=0)
    whole = load(home, 1, placement, "merged", slots)
    slots.commit(1)
    (alone, _), before = slots.held_bytes, scores(whole)
    unmerged = load(home, 2, placement, "unmerged", slots)
    both, _ = slots.held_bytes
    assert both < 2 * alone
    assert unmerged.tokenizer is whole.tokenizer
    planned, of_base = (
        footprint.needed(home.at(2), placement, ROWS, "none", chosen) for chosen in ("unmerged", "merged")
    )
    assert planned - of_base == both - alone == unmerged.weight_bytes - whole.weight_bytes
    merged = preparing.load(home.at(2), placement, ROWS)
    found, true = scores(unmerged), scores(merged)
    assert (found - true).norm() < NEAR[placement.dtype] * true.norm()
    assert (scores(whole) - true).norm() > 0.1 * true.norm()
    assert torch.equal(scores(whole), before)


def test_the_base_stays_for_the_next_adapter_and_for_itself_as_long_as_one_needs_it(
    home: Home, computed_by: str
) -> None:
    slots = WeightSlots(drain_seconds=0)
    first = load(home, 2, FLOAT32, "unmerged", slots)  # as after a restart: nothing else is in memory
    slots.commit(2)
    second = load(home, 3, FLOAT32, "unmerged", slots)
    slots.commit(3)
    assert first.base is not None
    assert second.base is first.base
    whole = load(home, 1, FLOAT32, "merged", slots)
    assert whole.base is first.base
    slots.commit(1)
    assert [model.version for model in slots.in_memory] == [3, 1]
    fresh = preparing.load(home.at(1), FLOAT32, ROWS)
    assert torch.equal(scores(whole), scores(fresh))


def test_what_a_version_gives_back_is_its_own(home: Home, computed_by: str) -> None:
    """So that a swap never counts on memory of the base, which the one that serves goes on using."""
    slots = WeightSlots(drain_seconds=0)
    load(home, 1, FLOAT32, "merged", slots)
    slots.commit(1)
    load(home, 2, FLOAT32, "unmerged", slots)
    slots.commit(2)
    models = {model.version: model for model in slots.in_memory}
    base, both = slots.get(1).weight_bytes, slots.get(2).weight_bytes
    assert shares(models, first=2) == {2: both, 1: 0}
    assert shares(models, first=1) == {1: base, 2: both - base}
    assert slots.room(3, Need(base, "other")) == "in place"


def test_whether_its_base_is_in_memory_is_known_before_it_is_loaded(home: Home) -> None:
    slots = WeightSlots(drain_seconds=0)
    assert not preparing.has_base(home.at(2), slots.in_memory)
    load(home, 1, FLOAT32, "merged", slots)
    assert preparing.has_base(home.at(2), slots.in_memory)
    assert not preparing.has_base(home.at(1), slots.in_memory)  # it is whole


def test_who_wants_to_know_is_told_when_a_version_is_let_go_for_its_memory(home: Home) -> None:
    slots, told = WeightSlots(drain_seconds=0, most=3), list[tuple[int, ...]]()
    for number in (1, 2, 3):
        load(home, number, FLOAT32, "unmerged", slots)
        slots.commit(number)
    slots.on_gone = lambda: told.append(slots.addressable)
    assert slots.let_one_go()
    assert not slots.let_one_go()
    assert told == [(2, 3)]
