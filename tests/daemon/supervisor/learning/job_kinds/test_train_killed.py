"""A thord that is killed at any moment of a run still ends it once, with one version, and no two attempts at once."""

import asyncio
import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.paths import Paths, at_home
from daemon.job import FINAL, JobKind, JobState
from daemon.supervisor.store.job_records import NewJob
from engine import artifacts
from engine.manifest import verify
from tests.daemon.supervisor.lives import live
from tests.daemon.supervisor.stand_ins import StandIns, learning

RUN = NewJob(
    kind=JobKind.TRAIN,
    run_id="mine",
    request={"train_files": ["/data/a.jsonl"]},
    promote="gate",
    owner="uid 1",
    retries=1,
    retry_interval_seconds=0.01,
    time_limit_seconds=60.0,
    idempotency_key="once",
    fingerprint="f",
)


def life_of(paths: Paths, *, cancel: bool = False):
    """One life: the run is asked for, again where it was before, and brought to its end; or cancelled half way."""

    async def life(moment) -> None:
        workers = StandIns(paths, moment=moment)
        async with learning(workers) as it:
            workers.boot_server()
            job, _ = await it.jobs.submit(RUN)
            if cancel and job.state not in FINAL:
                async for news in it.jobs.follow(job.id):
                    if news.get("progress"):
                        await it.jobs.cancel(job.id, "uid 1")
                        break
            assert (await it.jobs.wait(job.id, 8)).is_final

    return life


def check_between(paths: Paths) -> None:
    version = artifacts.current_version(paths.current)
    if version is not None:
        verify(paths.version(version))


def check_end(paths: Paths, *states: JobState) -> None:
    """What must hold when all has ended: one job in one final state, each attempt over before the next began."""

    async def look() -> None:
        async with learning(StandIns(paths)) as it:
            [job] = await it.store.jobs(10)
            _, attempts = await it.store.job_with_attempts(job.id)
            kinds = [event.type for event in await it.store.newest_events(1000)]
            assert job.state in states
            assert job.tries == 0, "a kill of the supervisor is no fault of the job"
            assert [attempt.number for attempt in attempts] == list(range(1, job.attempt + 1))
            assert all(attempt.ended_at and attempt.cause for attempt in attempts)
            for one, other in itertools.pairwise(attempts):
                assert (one.ended_at or "") <= other.started_at
            assert sum(kinds.count(f"job.{state}") for state in FINAL) == 1
            versions = await it.store.versions()
            if job.state is JobState.COMPLETED:
                assert [(version.number, version.state) for version in versions] == [(1, "available")]
                assert it.promotion.serving == 1
                assert (paths.model_artifact("mine") / "manifest.json").exists()

    asyncio.run(look())
    check_between(paths)


@pytest.mark.parametrize("stride", [4, pytest.param(1, marks=pytest.mark.soak)])
def test_killed_at_any_moment_a_run_still_ends_once(tmp_path: Path, stride: int) -> None:
    moments = live(life_of(at_home(tmp_path / "calm")), None)
    assert moments is not None
    check_end(at_home(tmp_path / "calm"), JobState.COMPLETED)
    for number in range(0, len(moments), stride):
        paths = at_home(tmp_path / f"killed-{number}")
        if live(life_of(paths), number) is None:
            check_between(paths)
            live(life_of(paths), None)
        check_end(paths, JobState.COMPLETED)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.lists(st.integers(0, 40), min_size=1, max_size=5))
def test_killed_while_it_is_cancelled_a_run_still_ends_once(tmp_path_factory, kills: list[int]) -> None:
    paths = at_home(tmp_path_factory.mktemp("killed"))
    for number in kills:
        live(life_of(paths, cancel=True), number)
        check_between(paths)
    live(life_of(paths), None)
    check_end(paths, JobState.COMPLETED, JobState.CANCELLED)
