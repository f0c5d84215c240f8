"""Ranks that train together come to what one process comes to on the same rows.

Tolerance: sums are split otherwise, so float32 rounds otherwise: losses and norms agree to 2e-5, weights to 1e-4.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from engine.training import run
from engine.training.checkpoint import Checkpoints
from engine.training.spec import RunPaths
from tests.engine.distributed.conftest import Alone, MakePlan, Ranks, Watch

LOSS, WEIGHT = 2e-5, 1e-4
IMPORT_AND_NOTICE_SECONDS = 60
EVERYTHING = {
    "optimizer": "muon",
    "ema_decay": 0.9,
    "label_smoothing": 0.1,
    "activation_checkpointing": "full",
    "batch_size": 1,
    "gradient_accumulation": 8,
}


def same_weights(one, other, file: str = "model.safetensors") -> None:
    expected, found = load_file(one / file), load_file(other / file)
    assert expected.keys() == found.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=WEIGHT, rtol=0, msg=name)


@pytest.mark.parametrize("training", [{}, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_as_one_process(
    ranks: Ranks, plan: MakePlan, places: RunPaths, alone: Alone, strategy: str, training: dict[str, object]
) -> None:
    expected, version = alone(**training)
    found = ranks(plan(strategy, **training), places)
    assert [one.error for one in found] == ["", ""]
    for one in found:
        assert one.losses == pytest.approx(expected.losses, abs=LOSS)
        assert one.norms == pytest.approx(expected.norms, rel=1e-4)
        assert one.validations == pytest.approx(expected.validations, abs=LOSS)
    same_weights(version, places.target)


@pytest.mark.parametrize("family", ["gpt2", "char_lstm", "agiformer"])
def test_every_family_can_be_sharded(ranks: Ranks, plan: MakePlan, places: RunPaths, alone: Alone, family: str) -> None:
    expected, _ = alone(family=family, max_steps=3)
    for one in ranks(plan("fsdp", family, max_steps=3), places):
        assert one.error == ""
        assert one.losses == pytest.approx(expected.losses, abs=LOSS)


@pytest.mark.parametrize("rank", [0, 1])
def test_memory_that_runs_out_on_one_rank_halves_the_microbatch_on_all(
    ranks: Ranks, plan: MakePlan, places: RunPaths, alone: Alone, rank: int
) -> None:
    expected, _ = alone()
    found = ranks(plan("ddp"), places, starve=rank)
    for one in found:
        assert one.stumbles == ["halve the microbatch"]
        assert one.losses == pytest.approx(expected.losses, abs=LOSS)


def test_memory_that_runs_out_ends_a_sharded_run_which_begins_again_with_half(
    ranks: Ranks, plan: MakePlan, places: RunPaths, alone: Alone
) -> None:
    """Others wait for this rank's part of a block, so it cannot tell them, but leaves, and all end at once."""
    doomed = Ranks(2)
    began = time.monotonic()
    ended = doomed(plan("fsdp"), places, starve=1, leave=True)
    doomed.close()
    assert time.monotonic() - began < IMPORT_AND_NOTICE_SECONDS
    assert ended[1].error.startswith("ShortOfMemoryError: rank 1 ran out of memory")
    assert "closed by peer" in ended[0].error.lower()

    expected, _ = alone()
    for one in ranks(plan("fsdp"), places, starve=1):
        assert one.error == ""
        assert one.losses == pytest.approx(expected.losses, abs=LOSS)


def test_on_the_disk_a_checkpoint_is_that_of_one_process(
    ranks: Ranks, plan: MakePlan, places: RunPaths, elsewhere: Callable[[str], RunPaths]
) -> None:
    """Sharded state is joined, so nothing else in thord knows of ranks; scalars too."""
    for strategy, where in (("ddp", places), ("fsdp", elsewhere("fsdp"))):
        ranks(plan(strategy), where)
    one, other = (Checkpoints(where.folder / "checkpoints", 3).latest() for where in (places, elsewhere("fsdp")))
    assert one
    assert other
    assert one.progress.step == other.progress.step == 8
    assert one.optimizer.keys() == other.optimizer.keys()
    assert {float(value) for name, value in other.optimizer.items() if name.startswith("step.")} == {8.0}
    for name, value in (one.weights | one.optimizer).items():
        torch.testing.assert_close((other.weights | other.optimizer)[name], value, atol=WEIGHT, rtol=0, msg=name)


@pytest.mark.parametrize(
    ("before", "after"), [(("ddp", 2), ("fsdp", 1)), (("fsdp", 2), ("ddp", 1)), (("ddp", 1), ("fsdp", 2))]
)
def test_a_run_goes_on_with_another_number_of_ranks(
    ranks: Ranks, plan: MakePlan, places: RunPaths, alone: Alone, before: tuple[str, int], after: tuple[str, int]
) -> None:
    expected, version = alone()
    first = ranks(plan(before[0]), places, before[1], stop_at=5)
    assert {one.error.split(":")[0] for one in first} == {"Stopped"}
    then = ranks(plan(after[0]), places, after[1])
    assert [one.error for one in then] == [""] * after[1]
    assert first[0].losses + then[0].losses == pytest.approx(expected.losses, abs=LOSS)
    same_weights(version, places.target)


@pytest.mark.parametrize(
    ("strategy", "training"),
    [
        ("ddp", {}),
        ("fsdp", {"kl_weight": 0.3, "activation_checkpointing": "full", "ema_decay": 0.9}),
    ],
    ids=["ddp", "fsdp"],
)
def test_an_adapter_learns_on_several_ranks_as_on_one(
    ranks: Ranks, plan: MakePlan, places: RunPaths, strategy: str, training: dict[str, object]
) -> None:
    """Also where the run is stopped, and goes on with another number of ranks."""
    run.learn(plan(max_steps=2), places, Watch())
    spec = plan(strategy, method="lora", max_steps=4, **training).model_copy(update={"base": 1})
    one, two = (
        replace(places, folder=places.folder.with_name(f"run-{number}"), base=places.target, target=target)
        for number, target in ((2, places.target.with_name("000002")), (3, places.target.with_name("000003")))
    )
    expected = Watch()
    run.learn(spec, one, expected)
    stopped, *_ = ranks(spec, two, stop_at=2)
    assert stopped.error.startswith("Stopped")
    for found in ranks(spec, two, 1 if strategy == "fsdp" else 2):
        assert found.error == ""
        assert stopped.losses + found.losses == pytest.approx(expected.losses, abs=LOSS)
    same_weights(one.target, two.target, "adapter_model.safetensors")


def test_a_sharded_adapter_goes_on_as_if_it_had_not_been_stopped(
    ranks: Ranks, plan: MakePlan, places: RunPaths
) -> None:
    """Bit for bit, with as many ranks; beside a base in 8 bits."""
    run.learn(plan(max_steps=2), places, Watch())
    spec = plan("fsdp", method="lora", max_steps=4, lora={"quantization": "int8"}).model_copy(update={"base": 1})
    through, resumed = (
        replace(places, folder=places.folder.with_name(f"run-{name}"), base=places.target, target=target)
        for name, target in (("a", places.target.with_name("a")), ("b", places.target.with_name("b")))
    )
    assert {one.error for one in ranks(spec, through)} == {""}
    ranks(spec, resumed, stop_at=3)
    assert {one.error for one in ranks(spec, resumed)} == {""}
    expected, found = (load_file(paths.target / "adapter_model.safetensors") for paths in (through, resumed))
    assert all(torch.equal(found[name], factor) for name, factor in expected.items())
