"""Two hosts that train together: this one, and a network namespace with an address and interfaces of its own.

Where namespaces may not be made, the second "host" is another launch on this one, found by the same rendezvous.
"""

import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.paths import at_home
from daemon.messages import Failure, Train, Trained, TrainProgress
from daemon.settings.sections import Tables
from engine.data import snapshot
from engine.data.samples import Dialogue, Message
from engine.manifest import verify

REPOSITORY = Path(__file__).parents[4]
DISCOVERY_SECONDS = 20.0


@pytest.fixture
def other_host() -> Iterator[tuple[list[str], str]]:
    """What runs a command on the other host, and the address by which that reaches this one."""
    name = f"thord{os.getpid()}"
    here, there = f"tha{os.getpid()}", f"thb{os.getpid()}"
    # A network of its own: what tests that were killed left behind may still have theirs.
    high, low = divmod(os.getpid() % (1 << 14), 64)
    network = f"10.213.{high}"
    ours, theirs = f"{network}.{4 * low + 1}", f"{network}.{4 * low + 2}"
    commands = (
        f"ip netns add {name}",
        f"ip link add {here} type veth peer name {there} netns {name}",
        f"ip address add {ours}/30 dev {here}",
        f"ip link set {here} up",
        f"ip -n {name} address add {theirs}/30 dev {there}",
        f"ip -n {name} link set {there} up",
        f"ip -n {name} link set lo up",
    )
    try:
        for command in commands:
            subprocess.run(command.split(), check=True, capture_output=True)
        yield ["ip", "netns", "exec", name], ours
    except (OSError, subprocess.CalledProcessError) as error:
        warnings.warn(f"no network namespace may be made here ({error}): both hosts are this one", stacklevel=1)
        yield [], "127.0.0.1"
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def train(cycle: int, **overrides: object) -> Train:
    return Train(cycle=cycle, attempt=1, version=cycle, base=None, overrides=overrides)


def test_two_hosts_finish_a_run_and_the_loss_of_one_is_noticed(spawn_worker, other_host, tmp_path):
    prefix, address = other_host
    with socket.create_server((address, 0)) as free:
        rendezvous = f"{address}:{free.getsockname()[1]}"
    distributed = {"processes": 1, "hosts": 2, "rendezvous": rendezvous}
    settings = Tables.model_validate(
        {
            "model": {"preset": "tiny", "hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "context": 64},
            "tokenizer": {"vocabulary": 400},
            "training": {
                "device": "cpu",
                "precision": "fp32",
                "threads": 1,
                "batch_size": 4,
                "sequence_length": 48,
                "early_stopping_patience": 0,
                "distributed": distributed,
            },
        }
    )
    dialogues = [
        Dialogue(messages=(Message("user", f"{n} and 1?"), Message("assistant", f"{n + 1}."))) for n in range(60)
    ]
    for cycle in (1, 2):
        examples = [snapshot.Example(one, one.identity, "new") for one in dialogues]
        snapshot.write(at_home(tmp_path).snapshot(cycle), examples, [])
    command = [*prefix, sys.executable, "-m", "daemon.workers.trainer.host", "--home", str(tmp_path), "--number", "1"]
    options = ["--rendezvous", rendezvous, "--hosts", "2", "--processes", "1"]
    trainer = spawn_worker("trainer", tmp_path, settings)
    host = subprocess.Popen(
        [*command, *options], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    )
    try:
        trainer.ask(train(1, max_steps=5), Trained, timeout=120)
        assert verify(trainer.paths.version(1)).metrics["steps"] == 5
        assert trainer.received(TrainProgress)[-1].processes == 2

        trainer.forget()
        trainer.send(train(2, max_steps=100_000))
        trainer.expect(TrainProgress, timeout=120)
        host.kill()
        began = time.monotonic()
        failure = trainer.expect(Failure)
        assert time.monotonic() - began < DISCOVERY_SECONDS
        assert failure.retry
        assert "rank 0" in failure.reason
    finally:
        host.kill()
        host.wait()
