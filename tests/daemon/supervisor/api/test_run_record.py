"""What a run decided, for clients, from a file that a run wrote or that may hold anything."""

import json
from pathlib import Path

import pytest

from control.paths import at_home
from daemon.supervisor.api import run_record
from engine.config.training import TrainingSettings
from engine.training import recipe
from engine.training.epochs import EpochFigures
from engine.training.recipe import Task
from engine.training.reporting import run_summary


def test_what_a_run_decided_is_told(tmp_path: Path) -> None:
    paths = at_home(tmp_path)
    paths.run_folder(7).mkdir(parents=True)
    task = Task("imported", rows=24, validated=True, parameters=134_515_008, method="lora")
    decided = recipe.decide(task, TrainingSettings(learning_rate=2e-3, epochs=3, kl_weight=0.25))
    written = {"method": "lora", "recipe": decided.model_dump(mode="json"), "threads": 2}
    (paths.run_folder(7) / "run.json").write_text(json.dumps(written))
    assert run_record.of_cycle(paths, 7) == {
        "method": "lora",
        "epochs": 3,
        "max_steps": None,
        "rows_per_step": decided.batch_size * decided.gradient_accumulation,
        "learning_rate": 2e-3,
        "kl_weight": 0.25,
    }


@pytest.mark.parametrize("text", ["", "[]", '{"method": "lora", "recipe": null}', "\xff"])
def test_before_it_decided_there_is_nothing_to_tell(tmp_path: Path, text: str) -> None:
    paths = at_home(tmp_path)
    assert run_record.of_cycle(paths, 7) is None
    paths.run_folder(7).mkdir(parents=True)
    (paths.run_folder(7) / "run.json").write_bytes(text.encode("latin-1"))
    assert run_record.of_cycle(paths, 7) is None


def test_epochs_are_those_that_the_trainer_sums_up(tmp_path: Path) -> None:
    paths = at_home(tmp_path)
    file = paths.run_folder(7) / run_summary.PLACE
    file.parent.mkdir(parents=True)
    epoch = EpochFigures(1, 3, 10, 40, 2.5, None, None, 0, 4.0, 10.0)
    file.write_text(json.dumps(run_summary.of_run([epoch], None)))
    found = run_record.epochs_of_cycle(paths, 7)
    assert found is not None
    assert (found["finished"], found["test_loss"]) == (False, None)
    assert [(row["epoch"], row["train_loss"], row["val_loss"]) for row in found["epoch_summary"]] == [(1, 2.5, None)]
    file.write_text("{")
    assert run_record.epochs_of_cycle(paths, 7) is None
