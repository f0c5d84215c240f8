"""What a run comes to: it learns, it stops early, it survives bad steps, it keeps the best."""

import json
import math
import shutil
import threading
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from engine import artifacts, version
from engine.artifacts import ArtifactError
from engine.config.training import TrainingSettings
from engine.data import shard, snapshot
from engine.data.batches import Rows
from engine.data.samples import Dialogue, Message
from engine.device import Placement
from engine.manifest import verify
from engine.models import registry
from engine.tokenizers.base import END
from engine.training import average, checkpoint, dataset, microbatch, run
from engine.training.checkpoint import Checkpoints
from engine.training.guard import MAX_ROLL_BACKS, DivergedError
from engine.training.objectives.language import MaskedCrossEntropy
from engine.training.optimizers.adamw import AdamW
from engine.training.reporting.reporter import Stopped
from engine.training.spec import RunRecord

CPU = Placement(torch.device("cpu"), torch.float32)


def write_snapshot(places, conversations, name="snapshot-2"):
    folder = places.snapshot.with_name(name)
    snapshot.write(folder, [snapshot.Example(one, one.identity, "new") for one in conversations], [])
    return replace(places, snapshot=folder)


@torch.no_grad()
def answer(folder, question):
    """What the published version says, greedily."""
    loaded = version.load(folder, CPU)
    ids = loaded.tokenizer.encode_prompt([Message("user", question)])
    begin = len(ids)
    while len(ids) < 60 and ids[-1] != loaded.tokenizer.special(END):
        row = torch.tensor([ids])
        hidden = loaded.model.hidden(row, torch.arange(len(ids))[None], torch.zeros_like(row))
        ids.append(int(loaded.model.logits(hidden[0, -1:]).argmax()))
    return loaded.tokenizer.decode(ids[begin:])


def test_a_few_dialogues_are_learned_by_heart(places, plan, recording):
    pairs = {"How are you?": "Quite well.", "Who are you?": "A small model.", "Bye!": "See you."}
    few = [Dialogue(messages=(Message("user", q), Message("assistant", a))) for q, a in pairs.items()]
    seen = recording()
    run.learn(
        plan(max_steps=60, gradient_accumulation=1, precision="fp32", learning_rate=1e-2),
        write_snapshot(places, few),
        seen,
    )
    assert seen.figures[0].loss > 4
    assert seen.figures[-1].loss < 0.3
    assert {question: answer(places.target, question) for question in pairs} == pairs


def test_figures_are_true(places, plan, recording):
    seen = recording()
    manifest = run.learn(plan(), places, seen)
    record = RunRecord.model_validate_json((places.folder / "run.json").read_bytes())
    assert (record.dtype, record.threads) == ("bfloat16", 1)
    steps = seen.began[0][1]
    assert [figures.step for figures in seen.figures] == list(range(1, steps + 1))
    assert seen.figures[-1].eta_seconds == 0
    assert seen.figures[-1].learning_rate == pytest.approx(0.1 * 5e-3)
    assert manifest.metrics["steps"] == steps
    assert manifest.metrics["final_loss"] == seen.figures[-1].loss < seen.figures[0].loss
    assert manifest.metrics["best_validation_loss"] == min(loss for _, loss, _ in seen.validations)
    assert manifest.metrics["tokens"] == seen.figures[-1].tokens > manifest.metrics["supervised_tokens"] > 0
    assert manifest.snapshot_sha256 == snapshot.read_manifest(places.snapshot).sha256


def test_the_best_weights_are_published_and_a_run_that_gets_worse_ends(places, plan, recording):
    seen = recording()
    settings = {"epochs": 30, "learning_rate": 2e-2, "early_stopping_patience": 3, "validate_every": 5}
    manifest = run.learn(plan(**settings), places, seen)
    best_step, _, _ = min(seen.validations, key=lambda validation: validation[1])
    assert [best for _, _, best in seen.validations[-3:]] == [False] * 3
    assert manifest.metrics["best_step"] == best_step < manifest.metrics["steps"] < seen.began[0][1]
    published = load_file(places.target / "model.safetensors")
    kept = load_file(places.folder / "checkpoints" / f"{best_step:06d}" / "model.safetensors")
    assert all(torch.equal(published[name], kept[name]) for name in kept)


def test_the_decay_of_wsd_is_a_branch_and_the_next_cycle_goes_on_from_before_it(places, plan, recording, tmp_path):
    """What is before it has to be what a run without any decay has at that step."""
    settings = {"warmup_share": 0.0, "validate_every": 100}
    run.learn(plan(schedule="wsd", decay_share=0.5, max_steps=9, **settings), places, recording())
    plain = replace(places, folder=tmp_path / "plain", target=tmp_path / "plain-version")
    run.learn(plan(schedule="constant", max_steps=3, **settings), plain, recording())
    trunk, served = (load_file(places.target / name) for name in ("trunk.safetensors", "model.safetensors"))
    undecayed = load_file(plain.folder / "checkpoints/000003/model.safetensors")
    assert all(torch.equal(trunk[name], undecayed[name]) for name in undecayed)
    assert not any(torch.equal(trunk[name], served[name]) for name in undecayed)
    for schedule, expected in (("wsd", trunk), ("cosine", served)):
        again = replace(places, folder=tmp_path / schedule, target=tmp_path / f"{schedule}-2", base=places.target)
        run.learn(plan(version=2, base=1, schedule=schedule, max_steps=1), again, recording())
        begin = load_file(again.folder / "checkpoints/000000/model.safetensors")
        assert all(torch.equal(begin[name], expected[name]) for name in expected)
    (places.target / "trunk.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"trunk\.safetensors"):
        run.learn(
            plan(version=3, base=1, schedule="wsd"),
            replace(again, folder=tmp_path / "third", target=tmp_path / "3"),
            recording(),
        )


def test_validation_conversations_are_never_trained_on(places, plan, conversations, recording):
    run.learn(plan(max_steps=1), places, recording())
    held = dataset.chosen_to_validate(places.snapshot, 0.2)
    assert 0.1 < len(held) / len(conversations) < 0.3
    train, validation = (shard.read(places.folder / "data" / part) for part in ("train", "validation"))
    assert len(train) + len(validation) == len(conversations)
    assert len(validation) == len(held)
    fewer = write_snapshot(places, conversations[::2])
    assert dataset.chosen_to_validate(fewer.snapshot, 0.2) <= held


def test_copies_are_trained_on_and_not_validated_with(places, plan, conversations, recording, tmp_path):
    run.learn(plan(max_steps=1), places, recording())
    again = replace(places, folder=tmp_path / "again", target=tmp_path / "again-version")
    run.learn(plan(max_steps=1, augmented_copies=2), again, recording())
    sizes = [
        [len(shard.read(one.folder / "data" / part)) for part in ("train", "validation")] for one in (places, again)
    ]
    assert 1.5 * sizes[0][0] < sizes[1][0] <= 3 * sizes[0][0]
    assert sizes[1][1] == sizes[0][1]


def test_fine_tuning_goes_on_from_the_base(places, plan, recording, conversations):
    first = recording()
    run.learn(plan(), places, first)
    second = recording()
    places_2 = replace(places, folder=places.folder.with_name("run-2"), base=places.target,
                       target=places.target.with_name("000002"))  # fmt: skip
    manifest = run.learn(plan(version=2, base=1), places_2, second)
    assert second.validations[0][1] == pytest.approx(first.validations[-1][1], abs=0.3)
    assert second.validations[-1][1] < first.validations[-1][1]
    assert manifest.parent == 1
    assert manifest.tokenizer_sha256 == verify(places.target).tokenizer_sha256


def test_a_damaged_base_is_named(places, plan, recording):
    run.learn(plan(max_steps=1), places, recording())
    file = places.target / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    places_2 = replace(places, folder=places.folder.with_name("run-2"), base=places.target,
                       target=places.target.with_name("000002"))  # fmt: skip
    with pytest.raises(ArtifactError, match="safetensors: sha256"):
        run.learn(plan(version=2, base=1), places_2, recording())


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
def poison(monkeypatch):
    def at(calls):
        monkeypatch.setattr(run.objectives, "make", lambda *_: Poisoned(calls))

    return at


def test_a_step_with_nan_is_skipped(places, plan, recording, poison):
    poison({10})
    seen = recording()
    manifest = run.learn(plan(gradient_accumulation=1), places, seen)
    assert seen.stumbles == [(10, "skip")]
    assert 11 not in [figures.step for figures in seen.figures]
    assert math.isfinite(manifest.metrics["final_loss"])
    version.load(places.target, CPU, check_finite=True)


def test_a_row_of_them_goes_back_to_a_checkpoint_at_half_the_rate(places, plan, recording, poison):
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


def test_a_run_that_stays_bad_is_given_up(places, plan, recording, poison):
    poison(set(range(6, 1000)))
    seen = recording()
    with pytest.raises(DivergedError, match="learning_rate"):
        run.learn(plan(gradient_accumulation=1, max_bad_steps=2), places, seen)
    assert [action for _, action in seen.stumbles].count("roll back") == MAX_ROLL_BACKS
    assert not places.target.exists()


@pytest.fixture
def late_copies(monkeypatch):
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
    for owner, name in ((AdamW, "step"), (average.Average, "follow"), (average.Average, "_swap")):
        monkeypatch.setattr(owner, name, telling(getattr(owner, name)))


def test_a_checkpoint_holds_the_state_of_its_step_however_late_it_is_copied(
    places, plan, recording, poison, tmp_path, request
):
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
def test_without_memory_smaller_microbatches_give_the_same_losses(places, plan, recording, monkeypatch, error):
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
def test_memory_of_a_gpu_can_run_out_in_its_libraries_too(said):
    error = RuntimeError(f"CUDA error: {said}")
    microbatch.check_smaller_helps(error, 2, TrainingSettings())
    with pytest.raises(torch.OutOfMemoryError, match=said):
        microbatch.check_smaller_helps(error, 1, TrainingSettings())


def test_without_memory_for_one_row_it_says_what_to_change(places, plan, recording, monkeypatch):
    monkeypatch.setattr(run.objectives, "make", lambda *_: Cramped(0, 0, ALLOCATOR))
    with pytest.raises(
        torch.OutOfMemoryError, match=r"lower training\.sequence_length, or set training\.activation_checkpointing"
    ):
        run.learn(plan(), places, recording())


def test_other_errors_of_torch_are_no_lack_of_memory(places, plan, recording, monkeypatch):
    monkeypatch.setattr(run.objectives, "make", lambda *_: Cramped(0, 0, RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        run.learn(plan(), places, recording())


def test_a_checkpoint_each_epoch(places, plan, recording):
    seen = recording()
    run.learn(plan(epochs=3, keep_epochs=True, checkpoint_every=1000, validate_every=1000), places, seen)
    rows = len(Rows(shard.read(places.folder / "data" / "train"), 48))
    epoch = round(rows / 6)
    kept = {int(folder.name) for folder in (places.folder / "checkpoints").iterdir()}
    assert {epoch, 2 * epoch, seen.began[0][1]} <= kept


def test_the_average_is_what_is_validated_and_published(places, plan, recording):
    seen = recording()
    run.learn(plan(ema_decay=0.9, precision="fp32"), places, seen)
    best_step, best_loss, _ = min(seen.validations, key=lambda validation: validation[1])
    folder = places.folder / "checkpoints" / f"{best_step:06d}"
    averages, published = load_file(folder / "optimizer.safetensors"), load_file(places.target / "model.safetensors")
    assert all(torch.equal(published[name], averages[f"average.{name}"]) for name in published)
    validation = Rows(shard.read(places.folder / "data" / "validation"), 48)
    loaded = version.load(places.target, CPU)
    registry.module(loaded.model).eval()
    total = sum(MaskedCrossEntropy().measure(loaded.model, one)["loss"] for one in validation.in_order(4))
    assert total / validation.supervised == pytest.approx(best_loss, rel=1e-5)


def test_staying_close_keeps_the_new_version_near_the_old(places, plan, recording, conversations):
    """With a heavy weight the divergence from the base, as it is reported, stays far below what it is without."""
    run.learn(plan(), places, recording())
    reversed_ = [
        Dialogue(messages=tuple(Message(m.role, m.content[::-1]) for m in one.messages)) for one in conversations
    ]
    later = replace(write_snapshot(places, reversed_), base=places.target)
    found = {}
    for number, weight in enumerate((1e-9, 5.0), start=2):
        seen = recording()
        its = replace(
            later, folder=places.folder.with_name(f"run-{number}"), target=places.target.with_name(f"{number:06d}")
        )
        run.learn(plan(version=number, base=1, kl_weight=weight), its, seen)
        found[weight] = seen.figures[-1].parts["kl"]
        lines = [json.loads(line) for line in (its.folder / "metrics.jsonl").read_text().splitlines()]
        assert [line["kl"] for line in lines if "loss" in line][-1] == found[weight]
    assert found[5.0] < 0.3 * found[1e-9]


def test_nothing_supervised_is_said(places, plan, recording):
    mute = [Dialogue(messages=(Message("user", f"{n}?"),)) for n in range(20)]
    with pytest.raises(dataset.NothingToLearnError, match="no assistant turn"):
        run.learn(plan(), write_snapshot(places, mute), recording())


@pytest.mark.parametrize("checkpoints_before", [0, 3])
def test_a_full_disk_is_said_before_it_is_written_to_and_the_run_goes_on_later(
    places, plan, recording, monkeypatch, tmp_path, checkpoints_before
):
    calls = 0

    class Usage:
        free = 100

    def usage(folder):
        nonlocal calls
        calls += 1
        return Usage if calls > checkpoints_before else real(folder)

    real = shutil.disk_usage
    with monkeypatch.context() as full:
        full.setattr("shutil.disk_usage", usage)
        with pytest.raises(OSError, match=r"No space left on device: a checkpoint needs \d+ MB and 0 MB are free"):
            run.learn(plan(), places, recording())
    kept = Checkpoints(places.folder / "checkpoints", keep=2).latest()
    assert (kept is not None) == (checkpoints_before > 0)
    resumed, quiet = recording(), replace(places, folder=tmp_path / "quiet", target=tmp_path / "quiet-version")
    run.learn(plan(), places, resumed)
    assert resumed.began[0][0] == (kept.progress.step if kept else 0)
    run.learn(plan(), quiet, recording())
    assert verify(places.target).sha256 == verify(quiet.target).sha256


class Spiking(MaskedCrossEntropy):
    """A loss far beyond what it was, and finite, at the calls given."""

    def __init__(self, calls):
        super().__init__()
        self.calls, self.call = calls, 0

    def backward(self, model, batch, scale):
        sums = super().backward(model, batch, scale)
        self.call += 1
        return {name: value * (100 if self.call - 1 in self.calls else 1) for name, value in sums.items()}


def test_a_spike_is_skipped_and_a_row_of_them_rolled_back(places, plan, recording, monkeypatch):
    monkeypatch.setattr(run.objectives, "make", lambda *_: Spiking({22, 25, 26}))
    seen = recording()
    run.learn(plan(gradient_accumulation=1, max_bad_steps=2, max_steps=30, early_stopping_patience=0), places, seen)
    assert seen.stumbles == [(22, "skip"), (25, "skip"), (26, "roll back")]
    assert [step for step, _ in seen.began] == [0, 24]
    assert [figures.step for figures in seen.figures][-1] == 30


def test_a_validation_that_is_no_number_is_in_no_record(places, plan, recording):
    """JSON has no word for it, and whoever is told of the version could not read the rest."""
    seen = recording()
    manifest = run.learn(plan(max_steps=3, learning_rate=1.0, weight_decay=1e30, validate_every=1), places, seen)
    assert [math.isfinite(loss) for _, loss, _ in seen.validations] == [True, False, False, False]
    assert manifest.metrics["best_step"] == 0
    assert "validation_loss" not in manifest.metrics
    for file in (places.folder / "metrics.jsonl", places.target / "manifest.json"):
        assert "NaN" not in file.read_text()


@pytest.mark.parametrize("seed", [2**63 - 1, -(2**63)])
def test_any_seed_of_64_bits_is_a_seed(places, plan, recording, seed):
    run.learn(plan(max_steps=1, seed=seed), places, recording())
    with pytest.raises(ValueError, match="seed"):
        plan(seed=2 * seed)
