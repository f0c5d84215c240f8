"""Evaluate jobs: measure the version of a run, or any other, on what was held out for it, or on files."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from control.paths import Paths, version_name
from daemon.job import JobKind
from daemon.messages import Evaluate, FromWorker
from daemon.supervisor.jobs.attempts import FailedError
from daemon.supervisor.jobs.lane import Done
from daemon.supervisor.jobs.requests import BadJobRequestError, EvaluateRequest, parsed
from daemon.supervisor.learning.evaluation.evaluations import Evaluations
from daemon.supervisor.learning.job_kinds import artifact
from daemon.supervisor.store.job_records import Job
from daemon.supervisor.store.store import NoSuchRecordError, PurgedError, Store


class EvaluateJobs:
    """Has the evaluator measure a version alone, against no other."""

    def __init__(self, store: Store, evaluations: Evaluations, paths: Paths) -> None:
        self._store = store
        self._evaluations = evaluations
        self._paths = paths

    async def __call__(self, job: Job, _: int, on_message: Callable[[FromWorker], None]) -> Done:
        """Measure it; the figures, which are in the artifact of the run too.

        Raises:
            FailedError: there is no such version.
            CommandFailedError, WorkerLostError, WorkerUnavailableError: as for `Workers.run`.
        """
        try:
            asked = parsed(EvaluateRequest, job.request)
            number = await self._version(job, asked)
            await self._store.whole_version(number)
        except (BadJobRequestError, NoSuchRecordError, PurgedError) as error:
            raise FailedError(str(error)) from error
        part = None if asked.files else asked.split
        command = Evaluate(version=number, incumbent=None, cycle=None, files=asked.files, part=part)
        with self._evaluations.measuring(number):
            judged = await self._evaluations.run(command, on_message)
        loss = judged.metrics.get("loss")
        perplexity = judged.metrics.get("perplexity", None if loss is None else math.exp(min(loss, 700.0)))
        figures: dict[str, JsonValue] = {**judged.metrics, "perplexity": perplexity, "split": asked.split}
        path: Path | None = None
        if job.run_id is not None:
            path = await asyncio.to_thread(artifact.write_metrics, self._paths, job.run_id, figures)
        shown = judged.model_dump(mode="json", include={"passed", "reason", "gate", "metrics", "slices", "suites"})
        measured = {"loss": loss, "perplexity": perplexity, "artifact_path": None if path is None else str(path)}
        return Done({"version": version_name(number), "split": asked.split, **shown, **measured})

    async def _version(self, job: Job, asked: EvaluateRequest) -> int:
        """The version that is asked for, else that of the run.

        Raises:
            NoSuchRecordError: neither is there.
        """
        if asked.version is not None:
            return asked.version
        if job.run_id is None:
            raise NoSuchRecordError("the job names neither a version nor a run")
        run = await self._store.job_of_run(JobKind.TRAIN, job.run_id)
        if run.version is None:
            raise NoSuchRecordError(f"run {job.run_id} has no version yet")
        return run.version
