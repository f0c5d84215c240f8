"""Jobs from submission to their end: fences, leases, retries, limits, restarts."""

import asyncio
import datetime
import time
from pathlib import Path

import pytest

from daemon.clock import time_of_day
from daemon.job import JobEvent, JobKind, JobState
from daemon.settings.jobs import JobSettings
from daemon.supervisor.jobs.endings import Report
from daemon.supervisor.jobs.jobs import Jobs
from daemon.supervisor.store.attempt_store import AttemptEnd
from daemon.supervisor.store.degradations import Degradations
from daemon.supervisor.store.errors import (
    IdempotencyConflictError,
    JobEndedError,
    NotClaimableError,
    RunExistsError,
    StaleAttemptError,
    TooManyJobsError,
)
from daemon.supervisor.store.job_records import Job, NewJob
from daemon.supervisor.store.store import Store, StoreUnavailableError

DONE = Report("completed", "completed", result={"loss": 1.0})
FAILED = Report("failed", "raised", "it broke", retry=True)


class House:
    """A store and its jobs, which can be left as a crash leaves them and be opened again."""

    def __init__(self, folder: Path, **settings: float) -> None:
        self.folder = folder
        self.settings = JobSettings.model_validate({"lease_seconds": 30, **settings})

    async def open(self) -> Jobs:
        self.store = await Store.open(self.folder / "thord.db", self.folder / "backups")
        self.jobs = Jobs(self.store, lambda: self.settings, Degradations(), host="here")
        await self.jobs.recover()
        return self.jobs

    async def crash(self) -> Jobs:
        await self.close()
        return await self.open()

    async def close(self) -> None:
        await self.jobs.close()
        await self.store.close()

    async def submit(self, kind: JobKind = JobKind.SCORE, **asked: object) -> Job:
        defaults = {"owner": "uid 1", "retries": 1, "retry_interval_seconds": 0.05, "time_limit_seconds": 60.0}
        job, _ = await self.jobs.submit(NewJob.model_validate({"kind": kind, **defaults, **asked}))
        return job

    async def claim(self, job: Job, host: str = "there", worker: str = "worker 1") -> int:
        _, attempt = await self.jobs.claim(job.id, host=host, worker=worker, pid=7)
        return attempt.number

    async def until(self, number: int, *states: JobState) -> Job:
        """The job when it is in one of these states."""
        with self.jobs.watch.followers.lines(number) as lines:
            job = await self.store.job(number)
            while job.state not in states:
                async with asyncio.timeout(10):
                    await anext(lines)
                job = await self.store.job(number)
        return job

    def shorten_leases(self) -> None:
        self.settings = JobSettings(lease_seconds=0.4)

    async def causes(self, number: int) -> list[str | None]:
        return [attempt.cause for attempt in (await self.store.job_with_attempts(number))[1]]


@pytest.fixture
async def house(tmp_path: Path):
    found = House(tmp_path)
    await found.open()
    yield found
    await found.close()


@pytest.mark.anyio
async def test_a_job_is_done_by_who_claims_it(house: House) -> None:
    job = await house.submit()
    attempt = await house.claim(job)
    with pytest.raises(NotClaimableError):
        await house.claim(job)
    assert not await house.jobs.beat(job.id, attempt, {"step": 3})
    assert house.jobs.describe(await house.store.job(job.id))["progress"] == {"step": 3}
    ended = await house.jobs.finish(job.id, attempt, DONE)
    assert (ended.state, ended.result, ended.progress) == (JobState.COMPLETED, {"loss": 1.0}, {"step": 3})
    assert ended.expires_at is not None
    assert await house.causes(job.id) == ["completed"]
    events = [event.type for event in await house.store.newest_events(10)]
    assert events == ["job.completed", "job.started", "job.queued"]
    with pytest.raises(JobEndedError):
        await house.jobs.cancel(job.id, "uid 1")


@pytest.mark.anyio
async def test_what_an_attempt_that_was_given_up_says_does_not_count(house: House) -> None:
    house.shorten_leases()
    job = await house.submit(retries=3)
    old = await house.claim(job)
    await house.until(job.id, JobState.WAITING_RETRY)  # it showed no sign of life
    await house.until(job.id, JobState.QUEUED)
    house.settings = JobSettings(lease_seconds=30)
    new = await house.claim(job)
    for late in (house.jobs.beat(job.id, old), house.jobs.finish(job.id, old, DONE)):
        with pytest.raises(StaleAttemptError):
            await late
    ended = await house.jobs.finish(job.id, new, DONE)
    assert (ended.state, ended.attempt) == (JobState.COMPLETED, 2)
    assert await house.causes(job.id) == ["lost", "completed"]


@pytest.mark.anyio
async def test_signs_of_life_keep_the_lease(house: House) -> None:
    house.shorten_leases()
    job = await house.submit()
    attempt = await house.claim(job)
    until = time.monotonic() + 0.8
    while time.monotonic() < until:
        await house.jobs.beat(job.id, attempt)
        await asyncio.sleep(0.05)
    assert (await house.store.job(job.id)).state is JobState.RUNNING


@pytest.mark.anyio
async def test_a_failure_is_tried_again_as_often_as_asked(house: House) -> None:
    job = await house.submit(retries=2)
    for turn in range(3):
        await house.until(job.id, JobState.QUEUED)
        after = await house.jobs.finish(job.id, await house.claim(job), FAILED)
        assert after.state is (JobState.FAILED if turn == 2 else JobState.WAITING_RETRY)
    assert (after.error, after.attempt) == ("it broke", 3)


@pytest.mark.anyio
async def test_waiting_for_another_attempt_outlives_a_restart(house: House) -> None:
    job = await house.submit(retry_interval_seconds=0.3)
    waiting = await house.jobs.finish(job.id, await house.claim(job), FAILED)
    await house.crash()
    assert (await house.store.job(job.id)).retry_at == waiting.retry_at
    queued = await house.until(job.id, JobState.QUEUED)
    assert time_of_day() >= datetime.datetime.fromisoformat(waiting.retry_at or "")
    assert queued.retry_at is None


@pytest.mark.anyio
async def test_after_a_restart_own_attempts_are_over_and_those_elsewhere_go_on(house: House) -> None:
    own, other = await house.submit(), await house.submit()
    await house.claim(own, host="here", worker="server")
    away = await house.claim(other)
    await house.crash()
    assert (await house.store.job(own.id)).state is JobState.QUEUED
    assert (await house.store.job(own.id)).tries == 0
    assert await house.causes(own.id) == ["restart"]
    assert (await house.jobs.finish(other.id, away, DONE)).state is JobState.COMPLETED


@pytest.mark.anyio
async def test_the_death_of_the_server_ends_its_attempts(house: House) -> None:
    job, elsewhere = await house.submit(), await house.submit()
    await house.claim(job, host="here", worker="server")
    await house.claim(elsewhere)
    await house.jobs.lost("server", "the server was killed")
    assert (await house.until(job.id, JobState.QUEUED)).tries == 1
    await house.claim(job, host="here", worker="server")
    await house.jobs.lost("server", "the server was restarted", died=False)
    assert (await house.store.job(job.id)).state is JobState.QUEUED
    assert await house.causes(job.id) == ["lost", "stopped"]
    assert (await house.store.job(elsewhere.id)).state is JobState.RUNNING


@pytest.mark.anyio
async def test_the_time_limit_is_final(house: House) -> None:
    job = await house.submit(time_limit_seconds=0.1, retries=5)
    attempt = await house.claim(job)
    ended = await house.until(job.id, JobState.FAILED)
    assert await house.causes(job.id) == ["time limit"]
    assert "time limit" in (ended.error or "")
    with pytest.raises(StaleAttemptError):
        await house.jobs.finish(job.id, attempt, DONE)


@pytest.mark.anyio
async def test_an_attempt_that_ended_unnoticed_is_overdue_only_once(house: House) -> None:
    job = await house.submit(time_limit_seconds=0.2)
    attempt = await house.claim(job)
    for step in (1, 2):
        await house.jobs.beat(job.id, attempt, {"step": step})  # the second is only told
    await house.store.end_attempt(job.id, attempt, AttemptEnd(JobEvent.COMPLETE, "completed"))
    ended = await house.store.job(job.id)
    async with asyncio.timeout(5):
        while house.jobs.describe(ended)["progress"] == {"step": 2}:
            await asyncio.sleep(0.01)
    assert (await house.store.job(job.id)).state is JobState.COMPLETED


@pytest.mark.anyio
async def test_progress_keeps_the_newest_figures_and_not_all(house: House) -> None:
    job = await house.submit()
    attempt = await house.claim(job)
    for step in range(100):
        await house.jobs.beat(job.id, attempt, {"step": step, f"figure {step}": step})
    progress = house.jobs.describe(await house.store.job(job.id))["progress"]
    assert isinstance(progress, dict)
    assert (progress["step"], progress["figure 99"], len(progress)) == (99, 99, 64)


@pytest.mark.anyio
async def test_nothing_is_claimed_before_what_the_last_run_left_is_repaired(house: House) -> None:
    job = await house.submit()
    again = Jobs(house.store, lambda: house.settings, Degradations(), host="here")
    with pytest.raises(StoreUnavailableError):
        await again.claim(job.id, host="here", worker="server", pid=7)
    assert (await house.store.job(job.id)).state is JobState.QUEUED


@pytest.mark.anyio
async def test_cancelling_ends_a_queued_job_and_asks_a_running_one(house: House) -> None:
    queued, running = await house.submit(), await house.submit()
    attempt = await house.claim(running)
    assert (await house.jobs.cancel(queued.id, "uid 1")).state is JobState.CANCELLED
    for _ in range(2):  # a second time is no error
        assert (await house.jobs.cancel(running.id, "uid 1")).state is JobState.CANCELLING
    assert await house.jobs.beat(running.id, attempt)
    ended = await house.jobs.finish(running.id, attempt, Report("cancelled", "cancelled"))
    assert (ended.state, ended.error) == (JobState.CANCELLED, "cancelled by uid 1")


@pytest.mark.anyio
async def test_a_cancelled_job_whose_worker_is_lost_is_cancelled(house: House) -> None:
    house.shorten_leases()
    job = await house.submit(retries=5)
    await house.claim(job)
    await house.jobs.cancel(job.id, "uid 1")
    assert (await house.until(job.id, JobState.CANCELLED, JobState.WAITING_RETRY)).state is JobState.CANCELLED


@pytest.mark.anyio
async def test_the_same_request_under_the_same_key_is_the_same_job(house: House) -> None:
    first = await house.submit(idempotency_key="k", fingerprint="a")
    assert await house.submit(idempotency_key="k", fingerprint="a") == first
    with pytest.raises(IdempotencyConflictError):
        await house.submit(idempotency_key="k", fingerprint="b")
    other = await house.submit(idempotency_key="k", fingerprint="b", owner="uid 2")
    assert other.id != first.id


@pytest.mark.anyio
async def test_so_many_jobs_wait_and_no_more(tmp_path: Path) -> None:
    house = House(tmp_path, max_unfinished=2)
    await house.open()
    first, _ = await house.submit(idempotency_key="k"), await house.submit()
    with pytest.raises(TooManyJobsError, match="max_unfinished"):
        await house.submit()
    assert (await house.submit(idempotency_key="k")).id == first.id
    await house.jobs.cancel(first.id, "uid 1")
    await house.submit()
    await house.close()


@pytest.mark.anyio
async def test_a_run_has_a_name_of_its_own(house: House) -> None:
    chosen = await house.submit(JobKind.TRAIN, run_id="run-000002")
    with pytest.raises(RunExistsError):
        await house.submit(JobKind.TRAIN, run_id="run-000002")
    assert (await house.submit(JobKind.TRAIN)).run_id == "run-000002-2"
    about = await house.submit(JobKind.EVALUATE, run_id="run-000002")
    assert (await house.store.job_of_run(JobKind.TRAIN, "run-000002")).id == chosen.id
    assert (await house.store.job_of_run(JobKind.EVALUATE, "run-000002")).id == about.id


@pytest.mark.anyio
async def test_expired_jobs_go_and_records_of_runs_stay(tmp_path: Path) -> None:
    house = House(tmp_path, result_ttl_seconds=0)
    await house.open()
    score, run = await house.submit(), await house.submit(JobKind.TRAIN)
    for job in (score, run):
        await house.jobs.finish(job.id, await house.claim(job), DONE)
    await house.crash()
    async with asyncio.timeout(5):
        while len(await house.store.jobs(10)) > 1:
            await asyncio.sleep(0.01)
    assert [job.id for job in await house.store.jobs(10)] == [run.id]
    events = await house.store.newest_events(100)
    assert {(event.data["job"], event.type) for event in events} == {
        (run.id, f"job.{name}") for name in ("queued", "started", "completed")
    }
    await house.close()
