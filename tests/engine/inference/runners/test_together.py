"""Versions that share a base, asked at once: each gets what an engine of its own says, and the base is read once."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from engine.adapters.adapter import B
from engine.inference.native.decoder import NativeDecoder, Part
from engine.inference.requests import GenerationParams, Sampling
from engine.inference.versions import preparing
from engine.inference.versions.loaded_model import LoadedModel
from engine.inference.versions.slots import Need, WeightSlots
from engine.native import library
from tests.engine.inference.conftest import Heard, Running
from tests.engine.test_stored_weights import FLOAT32, Home

pytestmark = pytest.mark.skipif(library.kernel() is None, reason="no kernel is built")
ROWS = 6
SAMPLED = Sampling(temperature=0.9, seed=7, top_logprobs=2)
GREEDY = Sampling(temperature=0.0, top_logprobs=2)


@pytest.fixture
def models(tmp_path: Path) -> dict[int, LoadedModel]:
    """Version 1 is the base, 2 and 3 are adapters for it."""
    home, slots = Home(tmp_path / "versions", "thor"), WeightSlots(drain_seconds=60.0, most=4)
    factors = home.moved(0.5).factors
    opposite = {name: -factor if name.endswith(B) else factor for name, factor in factors.items()}
    for number, of_version in ((2, factors), (3, opposite)):
        home.publish(number, home.new.with_factors(of_version), home.base)
    for number in (1, 2, 3):
        chosen = "whole" if number == 1 else "unmerged"
        model = preparing.load(home.at(number), FLOAT32, ROWS, chosen=chosen, in_memory=slots.in_memory)
        assert slots.admit(number, wait_seconds=0, need=Need(base=home.base.sha256))
        slots.install(model)
        slots.commit(number)
    return {number: slots.get(number) for number in (1, 2, 3)}


def serving(make_running: Callable[..., Running], models: Sequence[LoadedModel]) -> Running:
    running = make_running(start=False)
    running.slots.most = 4
    for model in models:
        base = "" if model.base is None else model.base.sha256
        assert running.slots.admit(model.version, wait_seconds=0, need=Need(base=base))
        running.slots.install(model)
        running.slots.commit(model.version)
    return running


def ask(running: Running, versions: Sequence[int]) -> list[Heard]:
    """Of each version: prompts of several lengths, answers that share a prompt, scores of a prompt."""
    heard = []
    for version in versions:
        prompts = [[1, 9 + version, 30], list(range(5, 23))]
        heard += [
            running.ask(prompts, GenerationParams(12, GREEDY), pin=version),
            running.ask([prompts[1]] * 2, GenerationParams(9, SAMPLED), pin=version),
            running.ask([prompts[1]], GenerationParams(3, GREEDY, score_prompt=True), pin=version),
        ]
    return heard


def test_each_version_says_what_it_says_alone(
    make_running: Callable[..., Running], models: dict[int, LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    together: list[int] = []
    read = NativeDecoder.read

    def counted(decoder: NativeDecoder, parts: Sequence[Part]) -> object:
        together.append(len(parts))
        return read(decoder, parts)

    monkeypatch.setattr(NativeDecoder, "read", counted)
    alone = []
    for number, model in models.items():
        running = serving(make_running, [model])
        asked = ask(running, [number])
        running.start()
        alone += [each.wait().events[1:] for each in asked]
    assert set(together) == {1}
    together.clear()
    running = serving(make_running, list(models.values()))
    asked = ask(running, list(models))
    running.start()
    assert [each.wait().events[1:] for each in asked] == alone
    assert alone[0] != alone[3] != alone[6]
    assert max(together) == len(models)
    assert together.count(len(models)) > len(together) / 2


def test_where_memory_is_short_versions_go_that_nothing_needs(
    make_running: Callable[..., Running], models: dict[int, LoadedModel]
) -> None:
    running = serving(make_running, [models[number] for number in (2, 3, 1)])
    weights, caches = running.slots.held_bytes
    one_row = models[3].rows.bytes_for(15)
    running.slots.memory_limit = weights + caches + one_row - 1
    assert running.slots.kept == (2,)
    pinned = running.ask([[1, 9, 30]], GenerationParams(12, GREEDY), pin=3)
    running.start()
    assert pinned.wait().failure is None
    assert running.slots.addressable == (1, 3)


def test_a_version_that_fails_takes_no_other_with_it(
    make_running: Callable[..., Running], models: dict[int, LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> Part:
        raise RuntimeError("broken")

    running = serving(make_running, list(models.values()))
    monkeypatch.setattr(models[2].runner.forward, "part", broken)
    asked = {number: running.ask([[1, 9, 30]], GenerationParams(12, GREEDY), pin=number) for number in models}
    running.start()
    failed = {number: each.wait().failure for number, each in asked.items()}
    assert (failed[1], failed[3]) == (None, None)
    assert failed[2] is not None
    assert failed[2].kind == "internal"
