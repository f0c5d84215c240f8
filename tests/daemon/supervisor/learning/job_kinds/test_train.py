"""Train jobs beside cycles: what they publish, what becomes of it, and how they end when workers die."""

import asyncio
import json

import pytest

from control.paths import Paths
from daemon.job import JobKind, JobState
from daemon.messages import CollectFiles, Evaluate, Train
from daemon.supervisor.learning.learning import Learning
from daemon.supervisor.store.job_records import Job, NewJob
from tests.daemon.supervisor.stand_ins import Script, StandIns, learning, publish, tables


async def submit(it: Learning, kind: JobKind = JobKind.TRAIN, **asked: object) -> Job:
    defaults = {"owner": "uid 1", "retries": 1, "retry_interval_seconds": 0.01, "time_limit_seconds": 60.0}
    defaults["request"] = {"train_files": ["/data/a.jsonl"]}
    job, _ = await it.jobs.submit(NewJob.model_validate({"kind": kind, **defaults, **asked}))
    return job


async def ended(it: Learning, job: Job) -> Job:
    found = await it.jobs.wait(job.id, 10)
    assert found.is_final, found
    return found


async def causes(it: Learning, job: Job) -> list[str | None]:
    return [attempt.cause for attempt in (await it.store.job_with_attempts(job.id))[1]]


def serving(paths: Paths, number: int) -> None:
    publish(paths, number)
    paths.current.symlink_to(paths.version(number))


@pytest.mark.anyio
async def test_a_run_publishes_a_version_that_is_no_candidate(paths: Paths) -> None:
    serving(paths, 1)
    workers = StandIns(paths)
    async with learning(workers) as it:
        job = await ended(it, await submit(it, run_id="gpt2-run-001", request={"corpus": ["/data/a.txt"], "base": 1}))
        assert (job.state, job.version, job.result and job.result["version"]) == (JobState.COMPLETED, 2, "000002")
        assert job.progress is not None
        assert job.progress["step"] == 6
        assert it.promotion.serving == 1
        version = await it.store.version(2)
        assert (version.parent, version.cycle, version.state) == (1, None, "available")
        assert [type(command) for command in workers.runs] == [Train]
        collected = next(message for message in workers.log if isinstance(message, CollectFiles))
        assert collected.files == ("/data/a.txt",)
    folder = paths.model_artifact("gpt2-run-001")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["run_id"], manifest["version"], manifest["model_family"]) == ("gpt2-run-001", "000002", "thor")
    assert (folder / "model.safetensors").read_bytes() == (paths.version(2) / "model.safetensors").read_bytes()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("promote", "verdict", "serves", "state"),
    [
        ("gate", True, 2, "available"),
        ("gate", False, 1, "rejected"),
        ("force", False, 2, "available"),
        ("never", True, 1, "available"),
    ],
)
async def test_a_version_is_promoted_as_asked(
    paths: Paths, promote: str, verdict: bool, serves: int, state: str
) -> None:
    serving(paths, 1)
    workers = StandIns(paths, Script(verdicts=[verdict]))
    async with learning(workers) as it:
        job = await ended(it, await submit(it, promote=promote))
        assert job.state is JobState.COMPLETED
        assert it.promotion.serving == serves
        assert (await it.store.version(2)).state == state


@pytest.mark.anyio
async def test_a_trainer_that_dies_is_tried_again_as_often_as_asked(paths: Paths) -> None:
    workers = StandIns(paths, Script(trainer=lambda run, step: "die" if step == run + 1 else None))
    async with learning(workers) as it:
        job = await ended(it, await submit(it, retries=2))
        assert (job.state, job.attempt) == (JobState.FAILED, 3)
        assert await causes(it, job) == ["lost", "lost", "lost"]
        assert "killed" in (job.error or "")
        other = await ended(it, await submit(it, retries=10))
        assert (other.state, other.attempt) == (JobState.COMPLETED, 6)


@pytest.mark.anyio
async def test_what_cannot_be_trained_is_not_tried_again(paths: Paths) -> None:
    workers = StandIns(paths, Script(trainer=lambda _run, _step: "no such setting"))
    async with learning(workers) as it:
        job = await ended(it, await submit(it, retries=9))
        assert (job.state, job.error, await causes(it, job)) == (JobState.FAILED, "no such setting", ["raised"])
        gone = await ended(it, await submit(it, request={"train_files": ["/a"], "base": 77}))
        assert "77" in (gone.error or "")


@pytest.mark.anyio
async def test_cancelling_stops_the_trainer_and_the_next_job_follows(paths: Paths) -> None:
    workers = StandIns(paths)
    workers.hold("trainer")
    async with learning(workers) as it:
        first, second = await submit(it), await submit(it)
        await workers.until_held("trainer")
        assert (await it.store.job(first.id)).state is JobState.RUNNING
        assert (await it.store.job(second.id)).state is JobState.QUEUED
        await it.jobs.cancel(first.id, "uid 1")
        cancelled = await ended(it, first)
        assert (cancelled.state, cancelled.error) == (JobState.CANCELLED, "cancelled by uid 1")
        assert workers.stopped_runs == 1
        workers.release("trainer")
        assert (await ended(it, second)).state is JobState.COMPLETED


@pytest.mark.anyio
async def test_the_time_limit_stops_the_trainer(paths: Paths) -> None:
    workers = StandIns(paths)
    workers.hold("trainer")
    async with learning(workers) as it:
        job = await ended(it, await submit(it, time_limit_seconds=0.1))
        assert (job.state, await causes(it, job)) == (JobState.FAILED, ["time limit"])
        async with asyncio.timeout(5):
            while not workers.stopped_runs:
                await asyncio.sleep(0.005)


@pytest.mark.anyio
async def test_a_long_job_lets_a_cycle_train_first_and_goes_on(paths: Paths) -> None:
    settings = tables(minimum=1)
    settings = settings.model_copy(update={"jobs": settings.jobs.model_copy(update={"turn_minutes": 0.002})})
    workers = StandIns(paths)
    workers.ledger.add(5)
    workers.hold("trainer")
    async with learning(workers, settings) as it:
        job = await submit(it)
        await workers.until_held("trainer")
        cycle = await it.cycles.trigger("test")
        async with asyncio.timeout(10):
            while workers.stopped_runs == 0:
                await asyncio.sleep(0.005)
        workers.release("trainer")
        done = await ended(it, job)
        assert (done.state, done.tries, await causes(it, done)) == (JobState.COMPLETED, 0, ["stopped", "completed"])
        trained = [(run.cycle, run.job) for run in workers.runs if isinstance(run, Train)]
        assert trained == [(None, job.id), (cycle.id, None), (None, job.id)]


@pytest.mark.anyio
async def test_jobs_of_a_higher_priority_go_first(paths: Paths) -> None:
    workers = StandIns(paths)
    workers.hold("trainer")
    async with learning(workers) as it:
        first = await submit(it)
        await workers.until_held("trainer")
        low, high = await submit(it), await submit(it, priority=5)
        workers.release("trainer")
        for job in (first, low, high):
            await ended(it, job)
        assert [run.job for run in workers.runs if isinstance(run, Train)] == [first.id, high.id, low.id]


@pytest.mark.anyio
async def test_a_job_that_thord_was_stopped_under_goes_on_with_the_same_version(paths: Paths) -> None:
    workers = StandIns(paths)
    workers.hold("trainer")
    async with learning(workers) as it:
        job = await submit(it)
        await workers.until_held("trainer")
    async with learning(StandIns(paths)) as it:
        done = await ended(it, job)
        assert (done.state, done.version) == (JobState.COMPLETED, 1)
        assert await causes(it, done) == ["restart", "completed"]


@pytest.mark.anyio
async def test_an_evaluation_measures_the_version_of_a_run(paths: Paths) -> None:
    workers = StandIns(paths)
    async with learning(workers) as it:
        await ended(it, await submit(it, run_id="mine"))
        job = await ended(it, await submit(it, JobKind.EVALUATE, run_id="mine", request={"split": "validation"}))
        assert job.state is JobState.COMPLETED
        evaluated = [run for run in workers.runs if isinstance(run, Evaluate)]
        assert [(run.version, run.incumbent, run.cycle) for run in evaluated] == [(1, None, None)]
        unknown = await ended(it, await submit(it, JobKind.EVALUATE, run_id="nobody's", request={}))
        assert (unknown.state, "nobody's" in (unknown.error or "")) == (JobState.FAILED, True)
    metrics = json.loads((paths.model_artifact("mine") / "eval" / "metrics.json").read_text())
    assert metrics["bits_per_byte"] == 2.0


@pytest.mark.anyio
async def test_a_store_that_was_begun_anew_leaves_what_earlier_jobs_made(paths: Paths) -> None:
    paths.job_snapshot(41).mkdir(parents=True)
    folder = paths.model_artifact("theirs")
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"job": 41}))
    async with learning(StandIns(paths)) as it:
        job = await ended(it, await submit(it, run_id="theirs"))
        assert (job.id, job.state, "job 41" in (job.error or "")) == (42, JobState.FAILED, True)


@pytest.mark.anyio
async def test_a_cycle_that_waits_for_a_job_says_so(paths: Paths) -> None:
    workers = StandIns(paths)
    workers.ledger.add(5)
    workers.hold("trainer")
    async with learning(workers, tables(minimum=1)) as it:
        job = await submit(it)
        await workers.until_held("trainer")
        cycle = await it.cycles.trigger("test")
        async for line in it.cycles.follow(cycle.id):
            if "for a job" in str(line):
                break
        workers.release("trainer")
        assert (await ended(it, job)).state is JobState.COMPLETED
