"""Everything that tells other programs how runs go, put together."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue, ValidationError

from control.paths import Paths
from daemon import background
from daemon.job import JobKind
from daemon.messages import FromWorker, TrainProgress, WorkerName
from daemon.settings.integrations import IntegrationSettings
from daemon.supervisor.integrations import progress, translation
from daemon.supervisor.integrations.follower import Follower
from daemon.supervisor.integrations.progress import ProgressEvents
from daemon.supervisor.integrations.publisher import Connection, Publisher
from daemon.supervisor.integrations.redis_client import RedisUnavailableError
from daemon.supervisor.integrations.redis_connection import RedisConnection
from daemon.supervisor.integrations.trainer_events import TrainerEvent
from daemon.supervisor.integrations.translation import Run
from daemon.supervisor.integrations.webhooks import PAUSES, Webhook
from daemon.supervisor.jobs.jobs import Jobs
from daemon.supervisor.processes.ports import Workers
from daemon.supervisor.store.degradations import Degradations
from daemon.supervisor.store.job_records import Job
from daemon.supervisor.store.records import Cycle, Event, name_or_null
from daemon.supervisor.store.store import NoSuchRecordError, Store

_PLACE = "redis events"
"""Names the place in the store's events up to which Redis has them."""


class Integrations:
    """Begins with `start`, ends with `close`. What is not in the settings costs nothing.

    Args:
        queue: what is told as the queue of cycles.
        connect: makes the way to Redis.
        webhook_pauses: seconds before each try of a webhook.
    """

    def __init__(
        self,
        settings: IntegrationSettings,
        store: Store,
        jobs: Jobs,
        workers: Workers,
        paths: Paths,
        degradations: Degradations,
        *,
        queue: str = "trainer",
        connect: Callable[[], Connection] | None = None,
        webhook_pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._store = store
        self._paths = paths
        self._degradations = degradations
        self._queue = queue
        self._url = settings.redis.url
        self._publisher: Publisher | None = None
        self._webhooks: list[Webhook] = []
        self._followers: list[Follower] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._progress = ProgressEvents(settings.redis.progress_seconds, time.monotonic)
        if settings.redis.enabled:
            self._publisher = Publisher(connect() if connect else RedisConnection(settings.redis))
            self._follow(_PLACE, self._publish)
            workers.subscribe(self._reported)
            jobs.watch.subscribe(self._progressed)
        if settings.webhooks.secret_file is not None:
            file, timeout = Path(settings.webhooks.secret_file), settings.webhooks.timeout_seconds
            for url in settings.webhooks.urls:
                webhook = Webhook(url, file, timeout, self._translated, degradations, webhook_pauses)
                self._webhooks.append(webhook)
                self._follow(webhook.key, webhook.take)

    def start(self) -> None:
        """Go on from where the last run of thord got to."""
        for follower in self._followers:
            self._tasks.append(background.begin(follower.follow(), "events for other programs"))

    def status(self) -> dict[str, JsonValue]:
        """What was told since the start, for whoever is told anything."""
        told: dict[str, JsonValue] = {}
        if self._publisher is not None:
            counts = self._publisher.counts
            told["redis"] = {"published": counts.published, "dropped": counts.dropped}
        if self._webhooks:
            delivered = sum(webhook.counts.delivered for webhook in self._webhooks)
            given_up = sum(webhook.counts.given_up for webhook in self._webhooks)
            told["webhooks"] = {"delivered": delivered, "given_up": given_up}
        return told

    async def close(self) -> None:
        """Stop telling. What was not told yet is told after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for webhook in self._webhooks:
            webhook.close()
        if self._publisher is not None:
            self._publisher.close()

    def _follow(self, key: str, take: Callable[[Sequence[Event]], Awaitable[None]]) -> None:
        self._followers.append(Follower(self._store, key, translation.is_told, take, self._degradations))

    # Events of the store ---------------------------------------------------------------------------------------------

    async def _translated(self, event: Event) -> list[TrainerEvent]:
        run = await self._run_of(event)
        return [] if run is None else translation.translated(event, run)

    async def _publish(self, events: Sequence[Event]) -> None:
        """Publish them; returns when Redis has them, however long that takes."""
        assert self._publisher is not None
        told = [each for event in events for each in await self._translated(event)]
        pauses = self._degradations.pauses()
        while True:
            try:
                await self._publisher.deliver(told)
            except RedisUnavailableError as error:
                self._degradations.begin("redis", f"events wait for Redis: {error}")
                await asyncio.sleep(next(pauses))
            else:
                self._degradations.end("redis")
                return

    async def _run_of(self, event: Event) -> Run | None:
        """What is known of the run that an event is about; null where nothing is, as it was removed."""
        cycle, job = event.data.get("cycle"), event.data.get("job")
        with contextlib.suppress(NoSuchRecordError):
            if isinstance(cycle, int):
                return await self._run_of_cycle(await self._store.cycle(cycle))
            if isinstance(job, int):
                return await self._run_of_job(await self._store.job(job))
        return None

    async def _run_of_cycle(self, cycle: Cycle) -> Run:
        about = Run(job_id=_name_of_cycle(cycle.id), queue=self._queue, metrics=cycle.metrics or {})
        return await self._with_version(about, cycle.version)

    async def _run_of_job(self, job: Job) -> Run:
        metrics: dict[str, float] = {}
        if job.version is not None:
            with contextlib.suppress(NoSuchRecordError):
                metrics = (await self._store.version(job.version)).metrics
        about = dataclasses.replace(_run_of_job(job), metrics=metrics, done=progress.percent(job.progress or {}))
        return await self._with_version(about, job.version)

    async def _with_version(self, run: Run, version: int | None) -> Run:
        if version is None:
            return run
        folder = self._paths.version(version)
        size = await asyncio.to_thread(_size, folder)
        return dataclasses.replace(run, version=name_or_null(version) or "", folder=str(folder), size=size)

    # Events of the moment --------------------------------------------------------------------------------------------

    def _reported(self, _: WorkerName, message: FromWorker) -> None:
        if not isinstance(message, TrainProgress) or self._publisher is None or message.cycle is None:
            return
        run = Run(job_id=_name_of_cycle(message.cycle), queue=self._queue)
        self._tell_step(message, run, self._paths.run_folder(message.cycle))

    def _progressed(self, job: Job, figures: Mapping[str, JsonValue] | None) -> None:
        """A job on whatever host got further."""
        if job.kind is JobKind.TRAIN and figures is not None:
            with contextlib.suppress(ValidationError):  # it is before its first step
                step = TrainProgress.model_validate({**_STEP, "job": job.id, **_known(figures)})
                self._tell_step(step, _run_of_job(job), self._paths.job_run(job.id))

    def _tell_step(self, figures: TrainProgress, run: Run, folder: Path) -> None:
        if self._publisher is None:
            return
        if self._progress.begins(run):
            epochs = figures.epochs or 1
            self._publisher.offer(lambda: progress.configuration(run, folder, self._paths.version, epochs))
        if told := self._progress.of(figures, run):
            self._publisher.offer(lambda: told)


_STEP: Mapping[str, JsonValue] = {"cycle": None, "learning_rate": 0.0, "tokens_per_second": 0.0, "eta_seconds": None}
"""What a report of a step has at least, but for the step and the loss."""


def _known(figures: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in figures.items() if name in TrainProgress.model_fields}


def _name_of_cycle(number: int) -> str:
    """What a cycle is called among jobs."""
    return f"cycle-{name_or_null(number)}"


def _run_of_job(job: Job) -> Run:
    return Run(job_id=job.run_id or f"job-{name_or_null(job.id)}", queue=job.queue, user_id=job.user_id or 0)


def _size(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return 0
