"""Jobs that the server computes: what was queued before it came up, what is cancelled, what another attempt took."""

import asyncio
import threading

import pytest

from daemon.workers.server.errors import ApiError
from daemon.workers.server.runs import runner as running
from daemon.workers.server.runs.runner import BusyError, JobRunner
from tests.daemon.workers.server.runs.fake_jobs import FakeJobs

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_GATHER_SECONDS", 0.001)


class Everything:
    """Every version is in memory."""

    def holds(self, version: int) -> bool:
        return True

    def serves(self, version: int) -> bool:
        return True

    async def ready(self, version: int) -> bool:
        return True

    def idle(self, version: int) -> None:
        pass


class Computer:
    """Answers with what it is told to, or not before it may."""

    def __init__(self, *outcomes: object) -> None:
        self.outcomes = list(outcomes)
        self.begun = asyncio.Event()

    async def result(self, job: dict, version: int) -> dict:
        self.begun.set()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, asyncio.Event):
            await outcome.wait()
        return {"of": job["id"]}


def begun(jobs: FakeJobs, computer: Computer, stopping: threading.Event | None = None) -> asyncio.Task[None]:
    """A runner that was told of queued jobs."""
    runner = JobRunner(jobs, Everything(), computer, stopping or threading.Event())
    runner.look()
    return asyncio.create_task(runner.run())


async def end_of(jobs: FakeJobs, number: int) -> str:
    async with asyncio.timeout(10):
        while jobs.rows[number]["state"] in {"queued", "running", "cancelling"}:
            await asyncio.sleep(0.01)
    return jobs.rows[number]["state"]


async def queued(jobs: FakeJobs) -> int:
    return (await jobs.submit("generate", {"request": {"version": "000001"}}))["id"]


async def test_what_was_queued_before_the_start_is_taken_up() -> None:
    jobs = FakeJobs()
    first = await queued(jobs)
    jobs.away = True
    runner = JobRunner(jobs, Everything(), Computer(None, None), threading.Event())
    runner.look()
    task = asyncio.create_task(runner.run())
    await asyncio.sleep(0.1)
    jobs.away = False
    assert await end_of(jobs, first) == "completed"
    jobs.put_back(first)
    runner.look()
    assert await end_of(jobs, first) == "completed", "it was queued again"
    assert jobs.rows[first]["attempt"] == 2
    task.cancel()


async def test_a_job_is_cancelled_while_it_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_BEAT_SECONDS", 0.05)
    jobs, computer = FakeJobs(), Computer(asyncio.Event())
    number = await queued(jobs)
    task = begun(jobs, computer)
    await computer.begun.wait()
    await jobs.cancel(number)
    assert await end_of(jobs, number) == "cancelled"
    task.cancel()


async def test_what_another_attempt_took_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_BEAT_SECONDS", 0.05)
    jobs, computer = FakeJobs(), Computer(asyncio.Event(), None)
    number = await queued(jobs)
    task = begun(jobs, computer)
    await computer.begun.wait()
    jobs.rows[number]["attempt"] = 2
    await asyncio.sleep(0.2)
    assert (jobs.rows[number]["state"], jobs.rows[number]["result"]) == ("running", None)
    task.cancel()


@pytest.mark.parametrize("error", [ApiError(422, "context_length_exceeded", "too long"), ZeroDivisionError()])
async def test_a_job_that_cannot_be_computed_fails_and_others_go_on(error: Exception) -> None:
    jobs = FakeJobs()
    first, second = await queued(jobs), await queued(jobs)
    task = begun(jobs, Computer(error, None))
    assert sorted([await end_of(jobs, first), await end_of(jobs, second)]) == ["completed", "failed"]
    task.cancel()


@pytest.mark.parametrize("version", ["9" * 5000, "²", "thor", None, 1])
async def test_a_job_that_names_no_version_fails_and_others_go_on(version: object) -> None:
    jobs = FakeJobs()
    wrong = (await jobs.submit("generate", {"request": {"version": version}}))["id"]
    right = await queued(jobs)
    task = begun(jobs, Computer(None))
    assert [await end_of(jobs, wrong), await end_of(jobs, right)] == ["failed", "completed"]
    task.cancel()


async def test_a_result_that_is_too_large_fails_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = FakeJobs()
    number = await queued(jobs)
    finish = jobs.finish

    async def limited(*of: int | str, result: dict | None, **more: str | None) -> dict:
        if result is not None:
            raise ApiError(413, "too_large", "a body may have 1048576 bytes")
        return await finish(*of, result=result, **more)

    monkeypatch.setattr(jobs, "finish", limited)
    task = begun(jobs, Computer(None))
    assert await end_of(jobs, number) == "failed"
    assert "1048576" in jobs.rows[number]["error"]
    task.cancel()


async def test_the_end_of_a_job_is_told_until_the_supervisor_hears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_AGAIN_SECONDS", 0.001)
    jobs = FakeJobs()
    number = await queued(jobs)
    tries = 0
    finish = jobs.finish

    async def deaf(*of: int | str, **more: object) -> dict:
        nonlocal tries
        tries += 1
        if tries <= 50:
            raise ApiError(503, "supervisor_away", "the disk is full")
        return await finish(*of, **more)

    monkeypatch.setattr(jobs, "finish", deaf)
    task = begun(jobs, Computer(None))
    assert await end_of(jobs, number) == "completed"
    task.cancel()


async def test_a_version_that_went_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_ROOM_SECONDS", 0.01)
    jobs = FakeJobs()
    number = await queued(jobs)
    computer = Computer(BusyError("gone"), None)
    task = begun(jobs, computer)
    assert await end_of(jobs, number) == "completed"
    assert jobs.rows[number]["attempt"] == 1
    task.cancel()


async def test_a_stopping_server_leaves_its_jobs_to_the_next_one() -> None:
    jobs, stopping = FakeJobs(), threading.Event()
    number = await queued(jobs)
    stopping.set()
    task = begun(jobs, Computer(None), stopping)
    await asyncio.sleep(0.05)
    assert jobs.rows[number]["state"] == "queued"
    task.cancel()
