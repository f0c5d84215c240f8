"""The trainer as a real process on a real channel: it learns, stops, dies, goes on, and refuses with reasons."""

import builtins
import json
import signal
from pathlib import Path

import pytest

from control.paths import at_home
from daemon.messages import Beat, Failure, Train, Trained, TrainProgress
from daemon.settings.sections import Tables
from engine.data import snapshot
from engine.data.samples import Dialogue, Message
from engine.manifest import verify

SETTINGS = Tables.model_validate(
    {
        "model": {"hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "feed_forward": 64, "context": 64},
        "tokenizer": {"vocabulary": 400},
        "training": {
            "device": "cpu",
            "precision": "bf16",
            "threads": 1,
            "sequence_length": 48,
            "batch_size": 4,
            "epochs": 3,
            "learning_rate": 5e-3,
            "checkpoint_every": 5,
            "validate_every": 5,
            "validation_share": 0.2,
        },
        "evaluation": {"sequence_length": 48},
        "supervision": {"heartbeat_timeout_seconds": 1.5},
    }
)
MUTE = [Dialogue(messages=(Message("user", f"{number}?"),)) for number in range(20)]


def train(cycle=1, base=None, **overrides):
    return Train(cycle=cycle, attempt=1, version=cycle, base=base, overrides=overrides)


def write_snapshot(home: Path, cycle=1, conversations=None):
    """What Python's own functions say about themselves, as dialogues."""
    documented = {name: getattr(builtins, name).__doc__ or "" for name in sorted(dir(builtins)) if name.islower()}
    dialogues = conversations or [
        Dialogue(messages=(Message("user", f"What is {name}?"), Message("assistant", text.split("\n")[0])))
        for name, text in documented.items()
        if text.strip()
    ]
    examples = [snapshot.Example(one, one.identity, "new") for one in dialogues]
    return snapshot.write(at_home(home).snapshot(cycle), examples, [])


@pytest.fixture
def home(tmp_path):
    write_snapshot(tmp_path)
    return tmp_path


def test_two_cycles_from_nothing(spawn_worker, home):
    trainer = spawn_worker("trainer", home, SETTINGS)
    first = trainer.ask(train(), Trained)
    manifest = verify(trainer.paths.version(1))
    assert (first.version, manifest.version, manifest.parent, manifest.cycle) == (1, 1, None, 1)
    assert manifest.metrics.keys() >= {"final_loss", "best_validation_loss", "steps", "tokens", "tokens_per_second"}
    assert manifest.settings["training"]["sequence_length"] == 48
    assert manifest.settings["data"]["replay_share"] == SETTINGS.data.replay_share

    progress = trainer.received(TrainProgress)
    assert progress[-1].step == progress[-1].steps == manifest.metrics["steps"]
    assert progress[-1].eta_seconds == 0
    assert any(beat.busy for beat in trainer.received(Beat))
    lines = [json.loads(line) for line in (trainer.paths.run_folder(1) / "metrics.jsonl").read_text().splitlines()]
    figures = "loss bits_per_character learning_rate gradient_norm tokens tokens_per_second share_of_peak memory_bytes"
    figures += " epoch epochs samples samples_per_second"
    assert {"at", "step", "eta_seconds", *figures.split()} in [set(line) for line in lines]
    logged = [line for line in map(json.loads, trainer.log.splitlines()) if line["event"] == "step"]
    assert [line["step"] for line in logged] == [line["step"] for line in lines if "loss" in line]
    assert logged[0].keys() >= {"loss", "bits_per_character", "learning_rate", "tokens_per_second"}
    assert next(line["step"] for line in lines if "validation_loss" in line) == 0

    trainer.forget()
    write_snapshot(home, cycle=2)
    second = trainer.ask(train(cycle=2, base=1), Trained)
    on_top = verify(trainer.paths.version(second.version))
    assert (on_top.version, on_top.parent) == (2, 1)
    assert on_top.metrics["best_validation_loss"] < manifest.metrics["best_validation_loss"]
    assert trainer.stop() == 0


def test_a_repeated_command_is_answered_at_once(spawn_worker, home):
    trainer = spawn_worker("trainer", home, SETTINGS)
    first = trainer.ask(train(), Trained)
    trainer.forget()
    assert trainer.ask(train(), Trained) == first
    assert trainer.received(TrainProgress) == []


def test_killed_and_stopped_it_ends_with_the_same_weights(spawn_worker, home, tmp_path_factory):
    quiet = tmp_path_factory.mktemp("quiet")
    write_snapshot(quiet)
    undisturbed = spawn_worker("trainer", quiet, SETTINGS)
    undisturbed.ask(train(), Trained)

    killed = spawn_worker("trainer", home, SETTINGS)
    killed.send(train())
    killed.expect(TrainProgress)
    killed.kill()
    assert killed.process.returncode == -signal.SIGKILL
    stopped = spawn_worker("trainer", home, SETTINGS)
    stopped.send(train())
    stopped.expect(TrainProgress)
    assert stopped.stop() == 0
    reached = max(int(folder.name) for folder in (stopped.paths.run_folder(1) / "checkpoints").iterdir())
    assert reached > 0
    again = spawn_worker("trainer", home, SETTINGS)
    again.ask(train(), Trained)
    sums = [verify(one.paths.version(1)).sha256 for one in (undisturbed, again)]
    assert sums[0] == sums[1]


def test_asked_settings_are_used_and_bad_ones_refused(spawn_worker, home):
    trainer = spawn_worker("trainer", home, SETTINGS)
    refused = trainer.ask(train(learning_rate=-1, epoch=3), Failure)
    assert not refused.retry
    assert "training.learning_rate" in refused.reason
    assert "training.epoch: Extra inputs" in refused.reason
    trainer.ask(train(max_steps=2, sequence_length=32), Trained)
    assert verify(trainer.paths.version(1)).metrics["steps"] == 2
    record = json.loads((trainer.paths.run_folder(1) / "run.json").read_text())
    assert record["plan"]["training"]["sequence_length"] == 32


def test_a_length_beyond_the_context_is_refused(spawn_worker, home):
    refused = spawn_worker("trainer", home, SETTINGS).ask(train(sequence_length=65), Failure)
    assert not refused.retry
    assert "65" in refused.reason
    assert "context" in refused.reason


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda paths: write_snapshot(paths.state, 1, MUTE), "nothing to learn from"),
        (lambda paths: None, "manifest.json is missing"),
    ],
)
def test_data_that_cannot_be_learned_is_said(spawn_worker, tmp_path, spoil, reason):
    trainer = spawn_worker("trainer", tmp_path, SETTINGS)
    spoil(trainer.paths)
    failure = trainer.ask(train().model_copy(update={"id": 5}), Failure)
    assert (failure.to, failure.retry) == (5, False)
    assert reason in failure.reason
    assert trainer.stop() == 0


def test_a_missing_base_is_said(spawn_worker, home):
    failure = spawn_worker("trainer", home, SETTINGS).ask(train(cycle=1, base=7), Failure)
    assert not failure.retry
    assert "000007" in failure.reason


def test_settings_reread_are_used(spawn_worker, home):
    trainer = spawn_worker("trainer", home, SETTINGS)
    shorter = SETTINGS.model_copy(update={"training": SETTINGS.training.model_copy(update={"max_steps": 3})})
    trainer.reload(shorter)
    trainer.ask(train(), Trained)
    assert verify(trainer.paths.version(1)).metrics["steps"] == 3


def test_it_ends_when_the_supervisor_is_gone(spawn_worker, home):
    trainer = spawn_worker("trainer", home, SETTINGS)
    trainer.send(train())
    trainer.expect(TrainProgress)
    trainer.hang_up()
    assert trainer.process.wait(5) == 70
