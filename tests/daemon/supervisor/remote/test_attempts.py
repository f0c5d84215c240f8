"""A run on another host: whatever happens to the host, to thord or between them, one attempt at a time, none lost."""

import asyncio
import json
from pathlib import Path

import pytest

from daemon.job import JobState
from daemon.settings.jobs import JobSettings
from daemon.settings.sections import Tables
from daemon.supervisor.jobs.jobs import Jobs
from daemon.supervisor.processes.ports import WorkerLostError
from daemon.supervisor.remote.host.thord_client import RefusedError, StaleError
from daemon.supervisor.remote.work import Delivery, FileOnDisk, Finished
from daemon.supervisor.store.degradations import Degradations
from daemon.supervisor.store.store import StoreUnavailableError
from engine import artifacts
from tests.daemon.supervisor.remote.hosts import STEPS, Host, World, world

pytestmark = pytest.mark.anyio


async def state(it: World, *wanted: JobState) -> None:
    while (await it.store.job(1)).state not in wanted:
        await asyncio.sleep(0.005)


async def causes(it: World) -> list[tuple[str, str | None]]:
    _, attempts = await it.store.job_with_attempts(1)
    return [(attempt.host, attempt.cause) for attempt in attempts]


async def test_a_host_does_a_run_and_its_version_comes_back(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        host = Host(it, tmp_path, "gpu")
        await it.submit()
        assert await host.work(1, 1) == "completed"
        job, attempts = await it.store.job_with_attempts(1)
        files = {file.name: file.read_bytes() for file in it.paths.version(1).iterdir()}
        assert files == {file.name: file.read_bytes() for file in host.paths.version(1).iterdir()}
        assert (job.state, job.result) == (JobState.COMPLETED, {"version": 1})
        assert [(each.host, each.worker, each.cause) for each in attempts] == [("gpu", "worker gpu", "completed")]
        assert job.progress is not None
        assert (job.progress["step"], job.progress["steps"]) == (STEPS, STEPS)
        assert it.paths.job_log(1).read_text().splitlines() == [f"step {step}" for step in range(1, STEPS + 1)]
        assert not list((it.paths.state / "incoming").glob("*"))


async def test_a_trainer_that_dies_is_followed_by_another_host_from_its_checkpoint(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        first, second = Host(it, tmp_path, "a", {4: "die"}), Host(it, tmp_path, "b")
        await it.submit()
        assert await first.work(1, 1) == "failed"
        await state(it, JobState.QUEUED)
        assert await second.work(1, 2) == "completed"
        assert (first.trainer.steps, second.trainer.steps) == ([1, 2, 3], [4, 5, 6])
        assert await causes(it) == [("a", "signal 9"), ("b", "completed")]
        assert it.paths.job_log(1).read_text().splitlines() == [f"step {step}" for step in range(1, STEPS + 1)]


async def test_a_host_that_is_cut_off_kills_its_trainer_before_another_one_begins(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        first, second = Host(it, tmp_path, "a", {4: "wait"}), Host(it, tmp_path, "b")
        await it.submit()
        working = asyncio.create_task(first.work(1, 1))
        await first.trainer.waits.wait()
        first.client.cut = True
        await first.trainer.ended.wait()
        assert first.trainer.killed
        assert (await it.store.job(1)).state is JobState.RUNNING  # its lease is not over yet
        await state(it, JobState.QUEUED)
        assert await working == "given up"
        first.client.cut = False
        assert await second.work(1, 2) == "completed"
        assert await causes(it) == [("a", "lost"), ("b", "completed")]


async def test_a_host_that_was_given_up_and_still_lives_can_do_no_harm(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        first, second = Host(it, tmp_path, "a"), Host(it, tmp_path, "b")
        await it.submit()
        await asyncio.to_thread(first.client.claim, 1, 1, "a", "worker a", 1)
        await state(it, JobState.QUEUED)  # it never beat
        assert await second.work(1, 2) == "completed"
        before = {file: file.read_bytes() for file in it.paths.version(1).iterdir()}
        for act in (
            lambda: first.client.beat(1, 1, {"step": 9}),
            lambda: first.client.deliver(1, Delivery(attempt=1, files=(), checkpoints=())),
            lambda: first.client.finish(1, Finished(attempt=1, state="failed", cause="raised")),
            lambda: first.client.claim(1, 1, "a", "worker a", 1),
            lambda: first.client.claim(1, 2, "a", "worker a", 1),
            lambda: first.client.claim(1, 3, "a", "worker a", 1),
        ):
            with pytest.raises(StaleError):
                await asyncio.to_thread(act)
        assert {file: file.read_bytes() for file in it.paths.version(1).iterdir()} == before
        assert (await it.store.job(1)).state is JobState.COMPLETED


async def test_a_cancelled_run_leaves_a_checkpoint_at_thord(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        host = Host(it, tmp_path, "a", {4: "wait"})
        await it.submit()
        working = asyncio.create_task(host.work(1, 1))
        await host.trainer.waits.wait()
        await it.jobs.cancel(1, "ann")
        assert await working == "cancelled"
        assert not host.trainer.killed
        job = await it.store.job(1)
        assert (job.state, job.error) == (JobState.CANCELLED, "cancelled by ann")
        assert "000093" in {folder.name for folder in (it.paths.job_run(1) / "checkpoints").iterdir()}


async def test_a_host_that_is_stopped_gives_its_run_to_the_next_and_costs_no_try(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        first, second = Host(it, tmp_path, "a", {4: "wait"}), Host(it, tmp_path, "b")
        await it.submit(retries=0)
        working = asyncio.create_task(first.work(1, 1))
        await first.trainer.waits.wait()
        assert first.attempt is not None
        first.attempt.stop()
        assert await working == "stopped"
        await state(it, JobState.QUEUED)
        assert (it.paths.job_run(1) / "checkpoints" / "000093").exists()
        assert await second.work(1, 2) == "completed"
        assert await causes(it) == [("a", "stopped"), ("b", "completed")]


async def test_of_two_hosts_with_the_same_message_one_gets_the_job(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        hosts = [Host(it, tmp_path, name) for name in "ab"]
        await it.submit()
        done = await asyncio.gather(*(host.work(1, 1) for host in hosts), return_exceptions=True)
        assert sorted(str(type(each).__name__) for each in done) == ["StaleError", "str"]
        assert len(await causes(it)) == 1


async def test_a_file_that_arrived_damaged_is_not_put_in_place(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        host = Host(it, tmp_path, "a")
        send = type(host.client).deliver

        def damaged(job: int, delivery: object) -> None:
            for file in (it.paths.state / "incoming").rglob("weights"):
                file.write_text("after 7")
            send(host.client, job, delivery)  # type: ignore[arg-type]

        host.client.deliver = damaged  # type: ignore[method-assign,assignment]
        await it.submit(retries=0)
        await host.work(1, 1)
        job = await it.store.job(1)
        assert job.state is JobState.FAILED
        assert "SHA-256" in str(job.error)
        assert not list(it.paths.job_run(1).rglob("weights"))


async def test_of_a_checkpoint_only_what_was_checked_is_put_in_place(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        host = Host(it, tmp_path, "a")
        await it.submit()
        await asyncio.to_thread(host.client.claim, 1, 1, "a", "worker a", 1)
        files = ("runs/job-000001/checkpoints/000001/rank/0", "runs/job-000001/checkpoints/000001/weights")
        sent = []
        for path in (*files, "runs/job-000001/checkpoints/000001/of-an-earlier-try"):
            file = it.paths.state / "incoming/000001-1" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(path)
            sent.append(FileOnDisk(path=path, size=len(path), sha256=artifacts.sha256_of(file)))
        delivery = Delivery(attempt=1, files=tuple(sent[:2]), checkpoints=("000001",))
        await asyncio.to_thread(host.client.deliver, 1, delivery)
        placed = [str(file.relative_to(it.paths.state)) for file in it.paths.job_run(1).rglob("*") if file.is_file()]
        assert sorted(placed) == [*files]


async def test_a_start_removes_what_attempts_sent_that_are_over(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        host = Host(it, tmp_path, "a")
        await it.submit()
        await asyncio.to_thread(host.client.claim, 1, 1, "a", "worker a", 1)
        sent = it.paths.state / "incoming"
        for name in ("000001-1", "000001-0", "000009-3"):
            (sent / name).mkdir(parents=True)
        await it.remote.recover()
        assert [folder.name for folder in sent.iterdir()] == ["000001-1"]


async def test_a_host_that_beats_while_thord_starts_again_is_not_told_that_its_attempt_is_over(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        host = Host(it, tmp_path, "a")
        await it.submit()
        await asyncio.to_thread(host.client.claim, 1, 1, "a", "worker a", 1)
        again = Jobs(it.store, JobSettings, Degradations(first_pause=0.01), host="here")
        with pytest.raises(StoreUnavailableError):
            await again.beat(1, 1)
        await again.recover()
        assert not await again.beat(1, 1)
        await again.close()


async def test_a_host_has_no_say_in_what_thord_does_itself(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        host = Host(it, tmp_path, "a")
        await it.submit()
        with pytest.raises(StaleError):  # it would need no signs of life
            await asyncio.to_thread(host.client.claim, 1, 1, "here", "trainer", 1)
        await it.jobs.claim(1, host="here", worker="trainer", pid=None)
        for act in (
            lambda: host.client.beat(1, 1, {"step": 9}),
            lambda: host.client.files(1, 1),
            lambda: host.client.deliver(1, Delivery(attempt=1, files=(), checkpoints=())),
            lambda: host.client.finish(1, Finished(attempt=1, state="failed", cause="raised")),
        ):
            with pytest.raises(StaleError):
                await asyncio.to_thread(act)
        job = await it.store.job(1)
        assert (job.state, it.jobs.describe(job)["progress"]) == (JobState.RUNNING, None)


async def test_no_password_goes_to_a_host(tmp_path: Path) -> None:
    async with world(tmp_path, "redis://thord:geheim@10.0.0.1/0") as it:
        host = Host(it, tmp_path, "a")
        await it.submit()
        claimed = await asyncio.to_thread(host.client.claim, 1, 1, "a", "worker a", 1)
        assert "geheim" not in claimed.model_dump_json()
        Tables.model_validate_json(json.dumps(claimed.settings))  # as a host reads them


async def test_what_thord_cannot_do_with_a_version_ends_the_attempt(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.runs.fault = WorkerLostError("the evaluator was killed by SIGKILL", cause="signal 9")
        await it.submit(retries=0)
        await Host(it, tmp_path, "a").work(1, 1)
        job = await it.store.job(1)
        assert (job.state, job.error) == (JobState.FAILED, "the evaluator was killed by SIGKILL")


async def test_a_version_that_arrives_damaged_ends_the_attempt(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        host = Host(it, tmp_path, "a")
        finish = type(host.client).finish

        def damaged(job: int, finished: Finished) -> None:
            for file in (it.paths.state / "incoming").rglob("models/*/*/*"):
                file.write_bytes(b"half")
            finish(host.client, job, finished)

        host.client.finish = damaged  # type: ignore[method-assign]
        await it.submit(retries=0)
        assert await host.work(1, 1) == "failed"
        assert "SHA-256" in str((await it.store.job(1)).error)
        assert not it.paths.version(1).exists()


async def test_a_host_whose_beats_are_refused_ends_its_trainer(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        host = Host(it, tmp_path, "a", {4: "wait"})

        def refused(*_: object) -> bool:
            raise RefusedError("it answered 422")

        host.client.beat = refused  # type: ignore[method-assign]
        await it.submit()
        async with asyncio.timeout(10):
            assert await host.work(1, 1) == "given up"
        assert host.trainer.killed


async def test_after_a_restart_a_run_is_prepared_once_for_all_its_files(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        host = Host(it, tmp_path, "a")
        await it.submit()
        await asyncio.to_thread(host.client.claim, 1, 1, "a", "worker a", 1)
        again, it.runs.prepared = it.restarted(), 0
        for _ in range(3):
            assert await again.folders(1, 1) == ["snapshots/job-000001"]
        assert it.runs.prepared == 1
