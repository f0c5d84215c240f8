"""What a run comes to: it learns, it stops early, it survives bad steps, it keeps the best."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine import version
from engine.artifacts import ArtifactError
from engine.data import shard, snapshot
from engine.data.batches import Rows
from engine.data.samples import Conversation, Dialogue, Message
from engine.device import Placement
from engine.manifest import verify
from engine.models import registry
from engine.tokenizers.base import END
from engine.training import loop, run
from engine.training.checkpoint import Checkpoints, Progress
from engine.training.objectives.language import MaskedCrossEntropy
from engine.training.spec import RunPaths, RunRecord
from tests.engine.training.conftest import MakePlan, Recording, with_snapshot

CPU = Placement(torch.device("cpu"), torch.float32)


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


def test_a_few_dialogues_are_learned_by_heart(places: RunPaths, plan: MakePlan, recording: type[Recording]) -> None:
    pairs = {"How are you?": "Quite well.", "Who are you?": "A small model.", "Bye!": "See you."}
    few = [Dialogue(messages=(Message("user", q), Message("assistant", a))) for q, a in pairs.items()]
    seen = recording()
    run.learn(
        plan(max_steps=60, gradient_accumulation=1, precision="fp32", learning_rate=1e-2),
        with_snapshot(places, few),
        seen,
    )
    assert seen.figures[0].loss > 4
    assert seen.figures[-1].loss < 0.3
    assert {question: answer(places.target, question) for question in pairs} == pairs


def test_figures_are_true(places: RunPaths, plan: MakePlan, recording: type[Recording]) -> None:
    seen = recording()
    manifest = run.learn(plan(), places, seen)
    record = RunRecord.model_validate_json((places.folder / "run.json").read_bytes())
    assert (record.dtype, record.threads) == ("bfloat16", 1)
    steps = seen.began[0][1]
    assert [figures.step for figures in seen.figures] == list(range(1, steps + 1))
    assert seen.figures[-1].eta_seconds == 0
    assert record.recipe is not None
    epochs, rows = math.ceil(record.recipe.epochs), record.recipe.batch_size * record.recipe.gradient_accumulation
    assert [figures.epoch for figures in seen.figures] == sorted(figures.epoch for figures in seen.figures)
    assert {figures.epoch for figures in seen.figures} == set(range(1, epochs + 1))
    assert {figures.epochs for figures in seen.figures} == {epochs}
    assert seen.figures[-1].samples == steps * rows
    assert all(figures.samples_per_second for figures in seen.figures)
    assert seen.figures[-1].learning_rate == pytest.approx(0.1 * 5e-3)
    assert manifest.metrics["steps"] == steps
    assert manifest.metrics["final_loss"] == seen.figures[-1].loss < seen.figures[0].loss
    assert manifest.metrics["best_validation_loss"] == min(loss for _, loss, _ in seen.validations)
    assert manifest.metrics["tokens"] == seen.figures[-1].tokens > manifest.metrics["supervised_tokens"] > 0
    assert manifest.snapshot_sha256 == snapshot.read_manifest(places.snapshot).sha256


def test_the_best_weights_are_published_and_a_run_that_gets_worse_ends(
    places: RunPaths, plan: MakePlan, recording: type[Recording]
) -> None:
    seen = recording()
    settings = {"epochs": 30, "learning_rate": 2e-2, "early_stopping_patience": 3, "validate_every": 5}
    manifest = run.learn(plan(**settings), places, seen)
    best_step, _, _ = min(seen.validations, key=lambda validation: validation[1])
    assert [best for _, _, best in seen.validations[-3:]] == [False] * 3
    assert manifest.metrics["best_step"] == best_step < manifest.metrics["steps"] < seen.began[0][1]
    published = load_file(places.target / "model.safetensors")
    kept = load_file(places.folder / "checkpoints" / f"{best_step:06d}" / "model.safetensors")
    assert all(torch.equal(published[name], kept[name]) for name in kept)


@pytest.mark.parametrize(
    ("loss", "lowest", "best_step", "tolerance", "best"),
    [
        (2.0, None, None, 0.05, True),
        (math.nan, None, None, 0.05, False),
        (math.inf, 2.0, 20, 0.05, False),
        (1.99, 2.0, 20, 0.0, True),
        (2.0, 2.0, 20, 0.0, False),
        (2.09, 2.0, 20, 0.05, True),
        (2.11, 2.0, 20, 0.05, False),
        (2.01, 2.0, 0, 0.05, False),
    ],
    ids=lambda value: str(value),
)
def test_later_weights_may_be_a_little_worse_but_not_than_those_it_began_with(
    loss: float, lowest: float | None, best_step: int | None, tolerance: float, best: bool
) -> None:
    progress = Progress(best_validation_loss=lowest, best_step=best_step)
    assert loop.is_best(loss, progress, tolerance) is best


def test_the_decay_of_wsd_is_a_branch_and_the_next_cycle_goes_on_from_before_it(
    places: RunPaths, plan: MakePlan, recording: type[Recording], tmp_path: Path
) -> None:
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


def test_fine_tuning_goes_on_from_the_base(
    places: RunPaths, plan: MakePlan, recording: type[Recording], conversations: list[Conversation]
) -> None:
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


def test_a_damaged_base_is_named(places: RunPaths, plan: MakePlan, recording: type[Recording]) -> None:
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


def test_a_checkpoint_each_epoch(places: RunPaths, plan: MakePlan, recording: type[Recording]) -> None:
    seen = recording()
    run.learn(plan(epochs=3, keep_epochs=True, checkpoint_every=1000, validate_every=1000), places, seen)
    rows = len(Rows(shard.read(places.folder / "data" / "train"), 48))
    epochs = {math.ceil(rows / 6), math.ceil(2 * rows / 6)}
    kept = {int(folder.name) for folder in (places.folder / "checkpoints").iterdir()}
    assert {*epochs, seen.began[0][1]} <= kept


def test_the_average_is_what_is_validated_and_published(
    places: RunPaths, plan: MakePlan, recording: type[Recording]
) -> None:
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


def test_staying_close_keeps_the_new_version_near_the_old(
    places: RunPaths, plan: MakePlan, recording: type[Recording], conversations: list[Conversation]
) -> None:
    """With a heavy weight the divergence from the base, as it is reported, stays far below what it is without."""
    run.learn(plan(), places, recording())
    reversed_ = [
        Dialogue(messages=tuple(Message(m.role, m.content[::-1]) for m in one.messages)) for one in conversations
    ]
    later = replace(with_snapshot(places, reversed_), base=places.target)
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


@pytest.mark.parametrize("checkpoints_before", [0, 3])
def test_a_disk_that_fills_up_is_said_before_it_is_written_to_and_the_run_goes_on_later(
    places: RunPaths,
    plan: MakePlan,
    recording: type[Recording],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    checkpoints_before: int,
) -> None:
    calls = 0

    class Usage:
        free = 100

    def usage(folder):
        nonlocal calls
        calls += 1
        return Usage if calls > 1 + checkpoints_before else real(folder)  # the run as a whole is the first

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


def test_a_validation_that_is_no_number_is_in_no_record(
    places: RunPaths, plan: MakePlan, recording: type[Recording]
) -> None:
    """JSON has no word for it, and whoever is told of the version could not read the rest."""
    seen = recording()
    manifest = run.learn(plan(max_steps=3, learning_rate=1.0, weight_decay=1e30, validate_every=1), places, seen)
    assert [math.isfinite(loss) for _, loss, _ in seen.validations] == [True, False, False, False]
    assert manifest.metrics["best_step"] == 0
    assert "validation_loss" not in manifest.metrics
    for file in (places.folder / "metrics.jsonl", places.target / "manifest.json"):
        assert "NaN" not in file.read_text()


@pytest.mark.parametrize("seed", [2**63 - 1, -(2**63)])
def test_any_seed_of_64_bits_is_a_seed(places: RunPaths, plan: MakePlan, recording: type[Recording], seed: int) -> None:
    run.learn(plan(max_steps=1, seed=seed), places, recording())
    with pytest.raises(ValueError, match="seed"):
        plan(seed=2 * seed)
