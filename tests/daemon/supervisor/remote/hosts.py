"""A thord whose runs are made by hosts, both in this process: what is between them can be cut."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

from control.paths import Paths, at_home
from daemon.messages import Train, Trained, TrainProgress
from daemon.settings.integrations import IntegrationSettings, RedisSettings
from daemon.settings.jobs import JobSettings
from daemon.settings.sections import Tables
from daemon.supervisor.jobs.endings import Report
from daemon.supervisor.jobs.jobs import Jobs
from daemon.supervisor.processes.ports import A, OnMessage, WorkerLostError
from daemon.supervisor.remote.attempts import RemoteAttempts
from daemon.supervisor.remote.host.attempt import Attempt
from daemon.supervisor.remote.host.thord_client import RefusedError, StaleError, UnreachableError
from daemon.supervisor.remote.host.transfer import BySharedFolder
from daemon.supervisor.remote.placing import BadDeliveryError
from daemon.supervisor.remote.work import Claimed, Delivery, FileOnDisk, Finished
from daemon.supervisor.store.degradations import Degradations
from daemon.supervisor.store.errors import NoSuchRecordError, NotClaimableError, StaleAttemptError
from daemon.supervisor.store.job_records import Job, NewJob
from daemon.supervisor.store.store import Store
from engine import artifacts, disk
from tests.daemon.supervisor.stand_ins import publish

T = TypeVar("T")
STEPS = 6
LEASE = 0.6


class Runs:
    """Before and after a run: a snapshot of one line, and the row."""

    def __init__(self, paths: Paths, store: Store, jobs: Jobs) -> None:
        self.paths = paths
        self.store = store
        self.jobs = jobs
        self.fault: Exception | None = None
        self.prepared = 0

    async def prepare(self, job: Job, attempt: int) -> Train:
        self.prepared += 1
        snapshot = self.paths.job_snapshot(job.id)
        snapshot.mkdir(parents=True, exist_ok=True)
        (snapshot / "train.jsonl").write_text('{"text": "hello"}\n')
        numbered = await self.store.assign_version(job.id, 0)
        assert numbered.version is not None
        return Train(cycle=None, job=job.id, attempt=attempt, version=numbered.version, base=None)

    async def conclude(self, job: Job, attempt: int, answer: Trained) -> Job:
        assert self.paths.version(answer.version).exists()
        if self.fault is not None:
            raise self.fault
        report = Report("completed", "completed", result={"version": answer.version})
        return await self.jobs.finish(job.id, attempt, report)


class World:
    """The thord, its files, and how hosts reach it."""

    def __init__(self, paths: Paths, store: Store, jobs: Jobs, runs: Runs, remote: RemoteAttempts) -> None:
        self.paths = paths
        self.store = store
        self.jobs = jobs
        self.runs = runs
        self.remote = remote

    def restarted(self) -> RemoteAttempts:
        """What thord knows of attempts elsewhere after it was started again."""
        return RemoteAttempts(self.jobs, self.store, self.runs, self.paths, Tables)

    async def submit(self, run: str = "one", retries: int = 1) -> Job:
        asked = {"owner": "uid 0", "retry_interval_seconds": 0.0, "time_limit_seconds": 60.0, "retries": retries}
        return (await self.jobs.submit(NewJob.model_validate({"kind": "train", "run_id": run, **asked})))[0]


@contextlib.asynccontextmanager
async def world(folder: Path, redis_url: str = "redis://127.0.0.1") -> AsyncIterator[World]:
    paths = at_home(folder / "thord")
    store = await Store.open(paths.database, paths.backups)
    settings = JobSettings(lease_seconds=LEASE)
    tables = Tables(jobs=settings, integrations=IntegrationSettings(redis=RedisSettings(url=redis_url)))
    jobs = Jobs(store, lambda: settings, Degradations(first_pause=0.01), host="here")
    await jobs.recover()
    runs = Runs(paths, store, jobs)
    yield World(paths, store, jobs, runs, RemoteAttempts(jobs, store, runs, paths, lambda: tables))
    await jobs.close()
    await store.close()


class Client:
    """As `ThordClient`, without HTTP between; ``cut`` is a partition."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cut = False
        self.beats = 0
        self._loop = asyncio.get_running_loop()

    def _call(self, work: Callable[[], Coroutine[None, None, T]]) -> T:
        if self.cut:
            raise UnreachableError("no route to host")
        try:
            return asyncio.run_coroutine_threadsafe(work(), self._loop).result(10)
        except (StaleAttemptError, NotClaimableError, NoSuchRecordError) as error:
            raise StaleError(str(error)) from error
        except BadDeliveryError as error:
            raise RefusedError(str(error)) from error

    def claim(self, job: int, attempt: int, host: str, worker: str, pid: int) -> Claimed:
        return self._call(lambda: self.world.remote.claim(job, attempt, host=host, worker=worker, pid=pid))

    def beat(self, job: int, attempt: int, progress: Mapping[str, JsonValue] | None) -> bool:
        self.beats += 1
        return self._call(lambda: self.world.remote.beat(job, attempt, progress))

    def files(self, job: int, attempt: int) -> list[FileOnDisk]:
        folders = self._call(lambda: self.world.remote.folders(job, attempt))
        state = self.world.paths.state
        found = [file for folder in folders for file in (state / folder).rglob("*") if file.is_file()]
        return [
            FileOnDisk(path=str(file.relative_to(state)), size=file.stat().st_size, sha256=artifacts.sha256_of(file))
            for file in found
        ]

    def deliver(self, job: int, delivery: Delivery) -> None:
        self._call(lambda: self.world.remote.deliver(job, delivery))

    def finish(self, job: int, finished: Finished) -> None:
        self._call(lambda: self.world.remote.finish(job, finished))


class Trainer:
    """Writes a checkpoint a step, and publishes; ``at`` says what happens at a step: ``die``, ``wait``."""

    def __init__(self, paths: Paths, at: Mapping[int, str] | None = None) -> None:
        self.paths = paths
        self.at = dict(at or {})
        self.steps: list[int] = []
        self.waits = asyncio.Event()
        self.ended = asyncio.Event()
        self.killed = False

    async def run(self, worker: str, command: Train, expected: type[A], on_message: OnMessage) -> A:
        try:
            return await self._run(command, expected, on_message)
        except asyncio.CancelledError:
            try:
                await asyncio.sleep(0.2)  # as long as a checkpoint takes
            except asyncio.CancelledError:
                self.killed = True
                raise
            self._checkpoint(command, 90 + len(self.steps))
            raise
        finally:
            self.ended.set()

    async def _run(self, command: Train, expected: type[A], on_message: OnMessage) -> A:
        assert (self.paths.job_snapshot(command.job or 0) / "train.jsonl").exists()
        checkpoints = self.paths.job_run(command.job or 0) / "checkpoints"
        done = max((int(found.name) for found in checkpoints.glob("*")), default=0)
        for step in range(done + 1, STEPS + 1):
            match self.at.get(step):
                case "die":
                    raise WorkerLostError("the trainer was killed by SIGKILL", cause="signal 9")
                case "wait":
                    self.waits.set()
                    await asyncio.Event().wait()
            self.steps.append(step)
            self._checkpoint(command, step)
            on_message(
                TrainProgress(
                    cycle=None,
                    job=command.job,
                    step=step,
                    steps=STEPS,
                    loss=1 / step,
                    learning_rate=0.1,
                    tokens_per_second=10.0,
                    eta_seconds=None,
                )
            )
            await asyncio.sleep(0.001)
        publish(self.paths, command.version, cycle=None)
        answer = Trained(to=command.id, version=command.version)
        assert isinstance(answer, expected)
        return answer

    def _checkpoint(self, command: Train, step: int) -> None:
        run = self.paths.job_run(command.job or 0)
        with artifacts.publishing(run / "checkpoints" / f"{step:06d}") as draft:
            (draft / "weights").write_text(f"after {step}")
        disk.write(run / "metrics.jsonl", "".join(f'{{"step": {each}}}\n' for each in range(1, step + 1)))
        log = self.paths.job_log(command.job or 0)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write(f"step {step}\n")


class Host:
    """One host; `work` does what `daemon.supervisor.remote.host.main` does between the queue and the trainer."""

    def __init__(self, world: World, folder: Path, name: str, at: Mapping[int, str] | None = None) -> None:
        self.name = name
        self.client = Client(world)
        self.paths = at_home(folder / name)
        self.trainer = Trainer(self.paths, at)
        self.world = world
        self.attempt: Attempt | None = None

    async def work(self, job: int, attempt: int) -> str:
        claimed = await asyncio.to_thread(self.client.claim, job, attempt, self.name, f"worker {self.name}", 1)
        stopping = threading.Event()
        way = BySharedFolder(self.world.paths.state, job, attempt, stopping)
        self.attempt = Attempt(claimed, self.client, way, self.trainer, self.paths, lambda _: None, stopping)
        return await self.attempt.carry_out()
