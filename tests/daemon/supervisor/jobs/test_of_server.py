"""What the server is told of its jobs, and what becomes of them when it is gone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.job import JobKind, JobState
from daemon.messages import AnswersQueued, Message, WorkerName
from daemon.supervisor.jobs.of_server import JobsOfServer
from daemon.supervisor.processes.lifecycle import WorkerState
from daemon.supervisor.processes.ports import WorkerUnavailableError
from daemon.supervisor.processes.worker import Change
from tests.daemon.supervisor.jobs.test_jobs import House

pytestmark = pytest.mark.anyio
RUNNING, STARTING, FAILED = WorkerState.RUNNING, WorkerState.STARTING, WorkerState.FAILED


class Wire:
    """Counts what the server hears while it is up."""

    def __init__(self) -> None:
        self.up = True
        self.heard = 0

    def send(self, worker: WorkerName, message: Message) -> None:
        if not self.up:
            raise WorkerUnavailableError("it starts")
        assert (worker, message) == ("server", AnswersQueued())
        self.heard += 1


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.open()
    yield house
    await house.close()


def change(before: WorkerState, now: WorkerState, *, died: bool = False, worker: WorkerName = "server") -> Change:
    return Change(worker=worker, before=before, now=now, pid=7, detail="exited with 1", died=died)


async def test_the_server_is_told_of_its_jobs_and_of_no_others(house: House) -> None:
    wire = Wire()
    JobsOfServer(house.jobs, wire.send)
    for kind in JobKind:
        await house.submit(kind)
    assert wire.heard == 3


async def test_one_that_was_away_is_told_when_it_is_up(house: House) -> None:
    wire = Wire()
    its = JobsOfServer(house.jobs, wire.send)
    wire.up = False
    await house.submit(JobKind.CHAT)
    wire.up = True
    its.worker_changed(change(STARTING, RUNNING, worker="monitor"))
    assert wire.heard == 0
    its.worker_changed(change(STARTING, RUNNING))
    assert wire.heard == 1


async def test_what_a_server_computed_that_died_waits_for_the_next(house: House) -> None:
    its = JobsOfServer(house.jobs, Wire().send)
    job = await house.submit(JobKind.GENERATE)
    await house.claim(job, host="here", worker="server")
    its.worker_changed(change(RUNNING, FAILED, died=True))
    assert (await house.until(job.id, JobState.QUEUED)).attempt == 1
