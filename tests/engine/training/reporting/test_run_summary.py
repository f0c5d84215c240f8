"""The figures of epochs and of a whole run, as reported and in ``eval/metrics.json``, against its other lines."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine import version
from engine.data import shard
from engine.data.batches import Rows
from engine.device import Placement
from engine.training import run
from engine.training.objectives.language import MaskedCrossEntropy
from engine.training.reporting import run_summary
from engine.training.reporting.reporter import Stopped
from engine.training.spec import RunPaths
from tests.engine.training.conftest import MakePlan, Recording

CPU = Placement(torch.device("cpu"), torch.float32)


def summary(places: RunPaths) -> dict:
    return json.loads((places.folder / "eval" / "metrics.json").read_text())


def test_an_epoch_has_the_mean_of_its_steps_and_its_last_validation(
    places: RunPaths, plan: MakePlan, recording: type[Recording]
) -> None:
    seen = recording()
    manifest = run.learn(plan(epochs=3, validate_epochs=True, validate_every=1000, test_share=0.1), places, seen)
    rows = len(Rows(shard.read(places.folder / "data" / "train"), 48))
    ends = [math.ceil(number * rows / 6) for number in (1, 2, 3)]
    said = summary(places)
    table = said["epoch_summary"]
    assert [(row["epoch"], row["global_step"], row["samples"]) for row in table] == [
        (number, step, 6 * step) for number, step in enumerate(ends, start=1)
    ]
    assert [step for step, _, _ in seen.validations] == [0, *ends]
    assert [row["val_loss"] for row in table] == [loss for _, loss, _ in seen.validations[1:]]
    assert [row["best_val_loss"] for row in table] == [
        min(loss for _, loss, _ in seen.validations[: number + 2]) for number in range(3)
    ]
    for row, first, last in zip(table, [0, *ends], ends, strict=False):
        losses = [one.loss for one in seen.figures[first:last]]
        assert min(losses) < row["train_loss"] < max(losses)
        assert row["train_ppl"] == pytest.approx(math.exp(row["train_loss"]))
        assert seen.figures[last - 1].epoch_loss == row["train_loss"]
    assert (said["finished"], said["early_stopped"], said["total_epochs"]) == (True, False, 3)
    assert said["test_ppl"] == pytest.approx(math.exp(said["test_loss"]))
    assert manifest.metrics["test_loss"] == said["test_loss"] == seen.finals[0].test_loss


def test_the_test_set_measures_what_is_published(places: RunPaths, plan: MakePlan, recording: type[Recording]) -> None:
    """The best weights, not the last: with averages, as they are published."""
    settings = {"epochs": 30, "learning_rate": 2e-2, "early_stopping_patience": 3, "validate_every": 5}
    manifest = run.learn(plan(precision="fp32", ema_decay=0.5, test_share=0.1, **settings), places, recording())
    assert manifest.metrics["best_step"] < manifest.metrics["steps"]
    rows = Rows(shard.read(places.folder / "data" / "test"), 48)
    model = version.load(places.target, CPU).model
    total = sum(MaskedCrossEntropy().measure(model, one)["loss"] for one in rows.in_order(4))
    assert total / rows.supervised == pytest.approx(manifest.metrics["test_loss"], rel=1e-5)


def test_a_run_ends_after_epochs_without_improvement(
    places: RunPaths, plan: MakePlan, recording: type[Recording]
) -> None:
    seen = recording()
    settings = {"epochs": 30, "learning_rate": 2e-2, "early_stopping_patience": 0, "validate_every": 1000}
    manifest = run.learn(plan(early_stopping_epochs=2, **settings), places, seen)
    said = summary(places)
    assert [row["epochs_no_improve"] for row in said["epoch_summary"][-3:]] == [0, 1, 2]
    assert said["early_stopped"] is True
    assert manifest.metrics["early_stopped"] == 1.0
    assert seen.epochs[-1].step == manifest.metrics["steps"] < seen.began[0][1]
    assert manifest.metrics["best_step"] == seen.epochs[-3].step


def test_what_was_said_of_epochs_that_did_not_happen_is_cut(
    places: RunPaths, plan: MakePlan, recording: type[Recording], tmp_path: Path
) -> None:
    """A run left in its second epoch goes on, from a checkpoint of the first, with the same table."""
    quiet = replace(places, folder=tmp_path / "quiet", target=tmp_path / "quiet-version")
    run.learn(plan(epochs=3), quiet, recording())
    ends = [row["global_step"] for row in summary(quiet)["epoch_summary"]]
    with pytest.raises(Stopped):
        run.learn(plan(epochs=3), places, recording(stop_at=ends[1]))
    assert summary(places)["epoch_summary"][0]["global_step"] == ends[0]
    lines = (places.folder / "metrics.jsonl").read_text()
    made_up = lines.splitlines()[-1]
    (places.folder / "metrics.jsonl").write_text(f"{lines}{made_up}\n" + lines.splitlines()[0][:20])
    run.learn(plan(epochs=3), places, recording())
    timeless = [
        [{name: value for name, value in row.items() if name not in ("seconds", "samples_per_sec")} for row in table]
        for table in (summary(one)["epoch_summary"] for one in (quiet, places))
    ]
    assert timeless[0] == timeless[1]


@pytest.mark.parametrize(("loss", "expected"), [(None, None), (math.nan, None), (1e4, None), (0.0, 1.0)])
def test_a_perplexity_that_is_no_number_is_null(loss: float | None, expected: float | None) -> None:
    assert run_summary.perplexity(loss) == expected
