"""The lane of jobs of one worker of this host: which jobs it takes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from daemon.job import JobKind, JobState
from daemon.messages import FromWorker
from daemon.settings.jobs import JobSettings
from daemon.supervisor.jobs.jobs import Jobs
from daemon.supervisor.jobs.lane import Done, Lane
from daemon.supervisor.store.degradations import Degradations
from daemon.supervisor.store.job_records import Job, NewJob
from daemon.supervisor.store.store import Store


async def _work(job: Job, _: int, __: Callable[[FromWorker], None]) -> Done:
    return Done({"did": job.kind})


def test_with_run_here_off_only_training_is_left_to_other_hosts(tmp_path: Path) -> None:
    asyncio.run(_with_training_left(tmp_path))


async def _with_training_left(tmp_path: Path) -> None:
    settings, degradations = JobSettings(run_here=False), Degradations()
    store = await Store.open(tmp_path / "thord.db", tmp_path / "backups")
    jobs = Jobs(store, lambda: settings, degradations, host="here")
    await jobs.recover()
    lane = Lane(
        "trainer",
        {JobKind.TRAIN: _work, JobKind.TOKENIZER: _work},
        jobs,
        store,
        object(),  # nobody asks it anything
        lambda: settings,
        degradations,
        log_of=lambda number: tmp_path / f"{number}.log",
    )
    asked = {"owner": "uid 1", "retries": 0, "retry_interval_seconds": 1.0, "time_limit_seconds": 60.0}
    train, _ = await jobs.submit(NewJob.model_validate({"kind": JobKind.TRAIN, "run_id": "r", **asked}))
    tokenizer, _ = await jobs.submit(NewJob.model_validate({"kind": JobKind.TOKENIZER, **asked}))
    lane.start()
    with jobs.watch.followers.lines(tokenizer.id) as lines:
        while (await store.job(tokenizer.id)).state is not JobState.COMPLETED:
            async with asyncio.timeout(10):
                await anext(lines)
    assert (await store.job(train.id)).state is JobState.QUEUED
    await lane.close()
    await jobs.close()
    await store.close()
