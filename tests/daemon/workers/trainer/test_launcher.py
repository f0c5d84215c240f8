"""A trainer whose run has two ranks: it speaks for them, outlives none of them in silence, and leaves none behind."""

import os
import signal
import time

import psutil
import pytest

from control.paths import at_home
from daemon.messages import Beat, Failure, Train, TrainProgress
from daemon.settings.sections import Tables
from engine.data import snapshot
from engine.data.samples import Dialogue, Message

SETTINGS = Tables.model_validate(
    {
        "model": {
            "preset": "tiny",
            "hidden": 32,
            "layers": 2,
            "heads": 4,
            "kv_heads": 2,
            "feed_forward": 64,
            "context": 64,
        },
        "tokenizer": {"vocabulary": 400},
        "training": {
            "device": "cpu",
            "precision": "fp32",
            "threads": 1,
            "max_steps": 100_000,
            "batch_size": 4,
            "sequence_length": 48,
            "checkpoint_every": 20,
            "early_stopping_patience": 0,
            "distributed": {"processes": 2},
        },
        "supervision": {"heartbeat_timeout_seconds": 1.5},
    }
)
DISCOVERY_SECONDS = 10.0
"""A killed rank is noticed within a tenth of a second; the rest is for a busy machine."""


@pytest.fixture
def home(tmp_path):
    dialogues = [
        Dialogue(messages=(Message("user", f"{number} and 1?"), Message("assistant", f"That makes {number + 1}.")))
        for number in range(60)
    ]
    examples = [snapshot.Example(one, one.identity, "new") for one in dialogues]
    snapshot.write(at_home(tmp_path).snapshot(1), examples, [])
    return tmp_path


def train(**overrides):
    return Train(cycle=1, attempt=1, version=1, base=None, overrides=overrides)


def ranks_of(worker):
    found = {int(one.environ()["RANK"]): one for one in psutil.Process(worker.pid).children()}
    assert found.keys() == {0, 1}
    return found


def test_a_rank_is_killed_then_the_trainer_then_it_is_stopped(spawn_worker, home):
    trainer = spawn_worker("trainer", home, SETTINGS)
    odd = trainer.ask(train(batch_size=3), Failure)
    assert not odd.retry
    assert "multiple of the processes" in odd.reason

    trainer.send(train())
    trainer.expect(TrainProgress, lambda one: one.step > 20)
    assert trainer.received(TrainProgress)[-1].processes == 2

    began = time.monotonic()
    os.kill(ranks_of(trainer)[1].pid, signal.SIGKILL)
    failure = trainer.expect(Failure)
    assert time.monotonic() - began < DISCOVERY_SECONDS
    assert failure.retry
    assert "rank 1" in failure.reason
    assert "SIGKILL" in failure.reason
    assert psutil.Process(trainer.pid).children() == []

    trainer.forget()
    trainer.send(train())
    first = trainer.expect(TrainProgress)
    assert first.step > 20, "it goes on from a checkpoint"
    assert trainer.expect(Beat, lambda one: "step" in one.activity).busy
    ranks = ranks_of(trainer)
    trainer.kill()
    _, alive = psutil.wait_procs(ranks.values(), timeout=1)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []

    again = spawn_worker("trainer", home, SETTINGS)
    again.send(train())
    reached = again.expect(TrainProgress).step
    assert again.stop() == 0
    steps = [int(folder.name) for folder in (again.paths.run_folder(1) / "checkpoints").iterdir()]
    assert max(steps) >= reached, "a checkpoint was written on the way out"
