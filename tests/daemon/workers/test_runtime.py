"""What every worker does, whatever its work: it ends with its supervisor, and never half."""

import socket
from pathlib import Path

import pytest

from daemon.messages import MAX_LINE, Beat, decode_from_worker
from daemon.workers.runtime import EXIT_ORPHANED, Channel
from tests.daemon.conftest import SpawnWorker


def test_a_worker_ends_when_its_supervisor_does(spawn_worker: SpawnWorker, tmp_path: Path) -> None:
    worker = spawn_worker("monitor", tmp_path)
    worker.hang_up()
    assert worker.process.wait(20) == EXIT_ORPHANED
    assert "the supervisor is gone" in worker.log


@pytest.mark.parametrize("line", [b'{"kind": "dance"}\n', b"\xff\xfe\n", b"x" * (MAX_LINE + 2)])
def test_a_worker_that_understands_nothing_ends_and_says_so(
    spawn_worker: SpawnWorker, tmp_path: Path, line: bytes
) -> None:
    worker = spawn_worker("monitor", tmp_path)
    worker.send_raw(line)
    assert worker.process.wait(20) == EXIT_ORPHANED
    assert "is not a message" in worker.log


def test_a_worker_that_is_asked_to_stop_ends_well(spawn_worker: SpawnWorker, tmp_path: Path) -> None:
    assert spawn_worker("monitor", tmp_path).stop() == 0


def test_a_beat_can_be_sent_as_soon_as_work_is_over() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, theirs.makefile("rb") as lines:
        channel = Channel(ours, beat_seconds=60.0)
        channel.advance("loading")
        channel.beat()
        channel.idle()
        channel.beat()
        told = [decode_from_worker(lines.readline()) for _ in range(2)]
    assert told == [Beat(progress=1, activity="loading", busy=True), Beat(progress=1, activity="", busy=False)]
