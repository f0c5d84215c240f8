"""Where memory runs out, smaller microbatches give the same losses."""

import json
from dataclasses import replace

import pytest
import torch

from engine.config.training import TrainingSettings
from engine.training import microbatch, run
from engine.training.objectives.language import MaskedCrossEntropy
from engine.training.reporting.reporter import Stopped
from engine.training.spec import RunPaths
from tests.engine.training.conftest import MakePlan, Recording


class Cramped(MaskedCrossEntropy):
    """From call ``since`` on there is memory for ``rows`` rows only."""

    def __init__(self, since, rows, error):
        super().__init__()
        self.since, self.rows, self.error, self.call = since, rows, error, 0

    def backward(self, model, batch, scale):
        self.call += 1
        if self.call > self.since and len(batch.tokens_BT) > self.rows:
            raise self.error
        return super().backward(model, batch, scale)


ALLOCATOR = RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), ALLOCATOR, MemoryError()])
def test_without_memory_smaller_microbatches_give_the_same_losses(
    places: RunPaths, plan: MakePlan, recording: type[Recording], monkeypatch: pytest.MonkeyPatch, error
) -> None:
    steady = plan(batch_size=8, gradient_accumulation=2, max_steps=8, precision="fp32", learning_rate=1e-3)
    steady = steady.model_copy(update={"model": steady.model.model_copy(update={"dropout": 0.0})})
    roomy, cramped = recording(), recording(stop_at=5)
    elsewhere = replace(places, folder=places.folder / "roomy", target=places.target.with_name("000009"))
    run.learn(steady, elsewhere, roomy)

    monkeypatch.setattr(run.objectives, "make", lambda *_: Cramped(7, 2, error))
    with pytest.raises(Stopped):
        run.learn(steady, places, cramped)
    assert cramped.stumbles == [(3, "halve the microbatch")] * 2
    resumed = recording()
    monkeypatch.setattr(run.objectives, "make", lambda *_: Cramped(0, 2, error))
    run.learn(steady, places, resumed)
    assert resumed.stumbles == []  # the checkpoint remembers
    ours = cramped.figures + resumed.figures
    assert [figures.tokens for figures in ours] == [figures.tokens for figures in roomy.figures]
    assert [f.loss for f in ours] == pytest.approx([f.loss for f in roomy.figures], rel=1e-4)
    lines = [json.loads(line) for line in (places.folder / "metrics.jsonl").read_text().splitlines()]
    events = [(line["step"], line["event"], line["bad_loss"]) for line in lines if "event" in line]
    assert events == [(3, "halve the microbatch", None)] * 2


@pytest.mark.parametrize("said", ["out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"])
def test_memory_of_a_gpu_can_run_out_in_its_libraries_too(said: str) -> None:
    error = RuntimeError(f"CUDA error: {said}")
    microbatch.check_smaller_helps(error, 2, TrainingSettings())
    with pytest.raises(torch.OutOfMemoryError, match=said):
        microbatch.check_smaller_helps(error, 1, TrainingSettings())


def test_without_memory_for_one_row_it_says_what_to_change(
    places: RunPaths, plan: MakePlan, recording: type[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run.objectives, "make", lambda *_: Cramped(0, 0, ALLOCATOR))
    with pytest.raises(
        torch.OutOfMemoryError, match=r"lower training\.sequence_length, or set training\.activation_checkpointing"
    ):
        run.learn(plan(), places, recording())


def test_other_errors_of_torch_are_no_lack_of_memory(
    places: RunPaths, plan: MakePlan, recording: type[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run.objectives, "make", lambda *_: Cramped(0, 0, RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        run.learn(plan(), places, recording())
