"""Import jobs: take over a model from elsewhere, as ``thorctl import`` does, without waiting for it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from control.paths import Paths, version_name
from daemon.messages import FromWorker, Import, Imported
from daemon.supervisor.jobs.attempts import FailedError
from daemon.supervisor.jobs.lane import Done
from daemon.supervisor.jobs.requests import BadJobRequestError, ImportRequest, parsed
from daemon.supervisor.learning import versions
from daemon.supervisor.processes.ports import Workers
from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.job_records import Job
from daemon.supervisor.store.store import Store
from engine import model_files
from engine.artifacts import ArtifactError


class ImportJobs:
    """Has the trainer publish models from elsewhere."""

    def __init__(self, store: Store, workers: Workers, paths: Paths, degradations: Degradations) -> None:
        self._store = store
        self._workers = workers
        self._paths = paths
        self._degradations = degradations

    async def __call__(self, job: Job, _: int, on_message: Callable[[FromWorker], None]) -> Done:
        """Publish it; the version it became, which is not in service yet.

        Raises:
            FailedError: thord cannot import it.
            CommandFailedError, WorkerLostError, WorkerUnavailableError: as for `Workers.run`.
        """
        try:
            asked = parsed(ImportRequest, job.request)
        except BadJobRequestError as error:
            raise FailedError(str(error)) from error
        if fault := await asyncio.to_thread(model_files.fault, Path(asked.folder), asked.layout):
            raise FailedError(fault)
        highest = await asyncio.to_thread(versions.highest, self._paths)
        numbered = await retry_until_stored(lambda: self._store.assign_version(job.id, highest), self._degradations)
        number = numbered.version or 0
        if not self._paths.version(number).exists():  # else an earlier attempt published it
            command = Import(version=number, layout=asked.layout, folder=asked.folder, generation=asked.generation)
            await self._workers.run("trainer", command, Imported, on_message)
        try:
            found = await asyncio.to_thread(versions.published, self._paths, number)
        except ArtifactError as error:
            raise FailedError(str(error)) from error
        return Done({"version": version_name(number)}, found.model_copy(update={"metrics": {}}))
