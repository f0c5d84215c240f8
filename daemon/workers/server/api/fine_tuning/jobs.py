"""The jobs of one client, as this API asks the supervisor for them."""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from control.job_answers import FINAL, Job, NewJob
from daemon import clock
from daemon.workers.server.api.fine_tuning import figures
from daemon.workers.server.api.fine_tuning.asking import another_name
from daemon.workers.server.api.fine_tuning.figures import StepFigures
from daemon.workers.server.api.fine_tuning.labels import Labels, job_id, labels_of, number_of
from daemon.workers.server.errors import ApiError
from daemon.workers.server.files.file_store import ANYBODY, FileStore
from daemon.workers.server.files.stored_file import StoredFile
from daemon.workers.server.runs.port import JobPort

_TRAIN = "train"
_AT_ONCE = 100
_MOST_UNFINISHED = 1000
_MOST_KNOWN = 128
"""Ended jobs whose figures are remembered."""


class FineTuningJobs:
    """Jobs that were asked for by this API; a client sees only its own.

    Args:
        port: the supervisor.
        store: where files of results go.
        run_folder: where the run of a job is, by its number.
    """

    def __init__(self, port: JobPort, store: FileStore, run_folder: Callable[[int], Path]) -> None:
        self._port = port
        self._store = store
        self._run_folder = run_folder
        self._of_ended: OrderedDict[int, list[StepFigures]] = OrderedDict()

    async def submit(self, asked: NewJob) -> Job:
        """Queue a job. Where its run would have the name of another, the name is made longer.

        Raises:
            ApiError: as the supervisor refuses.
        """
        try:
            return await self._port.submit(_TRAIN, asked)
        except ApiError as error:
            if error.code != "run_exists" or "idempotency_key" in asked:
                raise
        return await self._port.submit(_TRAIN, {**asked, "run_id": another_name(asked["run_id"])})

    async def get(self, owner: str, name: str) -> tuple[Job, Labels]:
        """A job by its name.

        Raises:
            ApiError: 404, this client has none.
        """
        number = number_of(name)
        try:
            job = None if number is None else await self._port.get(number)
        except ApiError as error:
            if error.status != 404:
                raise
            job = None
        labels = None if job is None or job["owner"] != (owner or ANYBODY) else labels_of(job)
        if job is None or labels is None:
            says = "it was never made, or ended so long ago that it is forgotten (jobs.result_ttl_seconds)"
            raise ApiError(404, "job_not_found", f"there is no job {name[:100]!r}: {says}", param="fine_tuning_job_id")
        return job, labels

    async def cancel(self, owner: str, name: str) -> tuple[Job, Labels]:
        """Ask a job to end.

        Raises:
            ApiError: 404, this client has none; 409, it has ended.
        """
        job, labels = await self.get(owner, name)
        return await self._port.cancel(job["id"]), labels

    async def newest(self, owner: str, before: int | None) -> AsyncIterator[tuple[Job, Labels]]:
        """All jobs of a client, newest first."""
        while found := await self._port.find(kind=_TRAIN, owner=owner or ANYBODY, before=before, limit=_AT_ONCE):
            for job in found:
                if (labels := labels_of(job)) is not None:
                    yield job, labels
            before = found[-1]["id"]

    async def needing(self, owner: str, file: StoredFile) -> str | None:
        """The unfinished job that learns from a file; null: there is none."""
        path = str(self._store.content(owner, file.id))
        found = await self._port.find(kind=_TRAIN, owner=owner or ANYBODY, limit=_MOST_UNFINISHED)
        return next((job_id(job["id"]) for job in found if job["state"] not in FINAL and _reads(job, path)), None)

    async def figures(self, job: Job) -> list[StepFigures]:
        """What was told of its steps."""
        number = job["id"]
        if job["started_at"] is None:
            return []
        if (known := self._of_ended.get(number)) is not None:
            return known
        file = self._run_folder(number) / "metrics.jsonl"
        found = await self._store.in_thread(lambda: figures.read(file))
        if job["ended_at"] is not None:
            self._of_ended[number] = found
            while len(self._of_ended) > _MOST_KNOWN:
                self._of_ended.popitem(last=False)
        return found

    async def results(self, owner: str, job: Job, found: list[StepFigures]) -> list[str]:
        """The ids of its files of results, made when they are first asked for. One that was deleted stays so."""
        if job["state"] != "completed" or job["ended_at"] is None or not found:
            return []
        ended = clock.epoch(job["ended_at"])
        mark = hashlib.sha256(f"{owner}\n{job['id']}\n{job['created_at']}".encode()).hexdigest()[:20]
        content = figures.as_csv(found)
        file = StoredFile(
            id=f"file-{ended * 1000:012x}{mark}",
            filename="step_metrics.csv",
            purpose="fine-tune-results",
            bytes=len(content),
            created_at=ended,
            sha256=hashlib.sha256(content).hexdigest(),
            status="processed",
        )
        return [file.id] if await self._store.add(owner, file, content) else []


def _reads(job: Job, path: str) -> bool:
    named = [job["request"].get(name) for name in ("train_files", "validation_files")]
    return any(isinstance(paths, list) and path in paths for paths in named)
