"""Train jobs: a run that is not a cycle. It publishes a version, which is no candidate unless that is asked for.

    prepare     the intake writes the snapshot; base, tokenizer and version number are fixed
    (train)     a trainer of this host, or of another one, runs and publishes the version
    conclude    the version is recorded, judged and promoted as asked, and the artifact of the run is written

| ``promote`` | the version                                                                                   |
| ----------- | --------------------------------------------------------------------------------------------- |
| ``never``   | is kept beside the others, and serves only whom asks for it by its number                     |
| ``gate``    | is judged as the candidate of a cycle is, and serves where the gate finds it better           |
| ``force``   | serves, whatever it is worth                                                                  |
"""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from control.paths import Paths, version_name
from daemon import log
from daemon.messages import CollectFiles, Evaluate, FromWorker, Train, Trained
from daemon.supervisor.intake.requests import IntakeRequests
from daemon.supervisor.jobs.attempts import FailedError
from daemon.supervisor.jobs.endings import Report
from daemon.supervisor.jobs.jobs import Jobs
from daemon.supervisor.jobs.lane import Done
from daemon.supervisor.jobs.requests import BadJobRequestError, TrainRequest, parsed
from daemon.supervisor.learning import versions
from daemon.supervisor.learning.evaluation.evaluations import Evaluations
from daemon.supervisor.learning.job_kinds import artifact
from daemon.supervisor.learning.promotion import NotAllowedError, NotNowError, Promotion, RefusedError
from daemon.supervisor.processes.ports import Workers
from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.job_records import Job
from daemon.supervisor.store.records import Version
from daemon.supervisor.store.store import NoSuchRecordError, PurgedError, Store
from engine.artifacts import MANIFEST, ArtifactError

_TOKENS = "data"
"""In the folder of a run, the tokens of what it learns: of no use once its version is published."""
_logger = log.get(__name__)


class TrainJobs:
    """Prepares, carries out and concludes runs. Everything may be repeated: what was done is found done."""

    def __init__(
        self,
        store: Store,
        jobs: Jobs,
        workers: Workers,
        intake: IntakeRequests,
        evaluations: Evaluations,
        promotion: Promotion,
        paths: Paths,
        degradations: Degradations,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._workers = workers
        self._intake = intake
        self._evaluations = evaluations
        self._promotion = promotion
        self._paths = paths
        self._degradations = degradations

    async def __call__(self, job: Job, attempt: int, on_message: Callable[[FromWorker], None]) -> Done:
        """Train here. Raises as `prepare`, `Workers.run` and `conclude`."""
        command = await self.prepare(job, attempt)
        answer = await self._workers.run("trainer", command, Trained, on_message)
        return await self._concluded(job, answer)

    async def prepare(self, job: Job, attempt: int) -> Train:
        """Everything before the trainer: what to train, on a snapshot that is on disk.

        Raises:
            FailedError: it cannot be trained as asked.
            CommandFailedError: the files cannot be learned from.
            WorkerLostError: the intake died.
        """
        try:
            asked = parsed(TrainRequest, job.request)
        except BadJobRequestError as error:
            raise FailedError(str(error)) from error
        if (other := await asyncio.to_thread(artifact.foreign_job, self._paths, job)) is not None:
            raise FailedError(
                f"{self._paths.model_artifact(job.run_id or '')} holds the run of job {other}; choose another run_id"
            )
        tokenizer = {} if asked.tokenizer_id is None else await self._tokenizer(asked.tokenizer_id)
        if asked.base is not None:
            try:
                await self._store.whole_version(asked.base)
            except (NoSuchRecordError, PurgedError) as error:
                raise FailedError(f"it cannot go on from that version: {error}") from error
        await self._intake.collect_files(
            CollectFiles(
                job=job.id,
                files=asked.files,
                validation_files=asked.validation_files,
                split=asked.split,
                held_out_share=asked.held_out_share,
            )
        )
        highest = await asyncio.to_thread(versions.highest, self._paths)
        numbered = await retry_until_stored(lambda: self._store.assign_version(job.id, highest), self._degradations)
        if numbered.version is None:
            raise FailedError("the job has no version number")
        return Train(
            cycle=None,
            job=job.id,
            attempt=attempt,
            version=numbered.version,
            base=asked.base,
            overrides=asked.overrides,
            model=asked.model or {},
            tokenizer=tokenizer,
        )

    async def conclude(self, job: Job, attempt: int, trained: Trained) -> Job:
        """End an attempt whose version is published under ``models/versions``; the job as it ended.

        Raises:
            StaleAttemptError: it is not the current attempt, so nothing was written.
            FailedError: the version cannot be read, or cannot be served as asked.
        """
        done = await self._concluded(job, trained)
        report = Report("completed", "completed", result=done.result)
        return await self._jobs.finish(job.id, attempt, report, candidate=done.candidate)

    async def _concluded(self, job: Job, trained: Trained) -> Done:
        try:
            found = await asyncio.to_thread(versions.published, self._paths, trained.version)
            artifact_folder = await asyncio.to_thread(artifact.write, self._paths, job, trained.version)
            await asyncio.to_thread(shutil.rmtree, self._paths.job_run(job.id) / _TOKENS, ignore_errors=True)
        except ArtifactError as error:
            raise FailedError(str(error)) from error
        result: dict[str, JsonValue] = {
            "version": version_name(trained.version),
            "artifact": str(artifact_folder),
            "metrics": dict(found.metrics),
        }
        if job.promote != "never":
            result |= await self._promoted(job, found)
            found = await self._store.version(found.number)  # with what the gate and the swap wrote there
        return Done(result, found)

    async def _promoted(self, job: Job, version: Version) -> dict[str, JsonValue]:
        """Put a version into service as the job asks for; what came of it."""
        await retry_until_stored(lambda: self._store.adopt_version(version), self._degradations)
        found: dict[str, JsonValue] = {"promoted": False}
        if job.promote == "gate":
            command = Evaluate(version=version.number, incumbent=self._incumbent(version), cycle=None, decides=True)
            judged = await self._evaluations.run(command)
            await retry_until_stored(
                lambda: self._store.add_metrics(version.number, judged.metrics), self._degradations
            )
            found |= {"gate": judged.gate, "reason": judged.reason}
            if not judged.passed:
                await retry_until_stored(
                    lambda: self._store.judge_version(version.number, "rejected", judged.reason), self._degradations
                )
                return found
        try:
            await self._promotion.promote(version.number, by=f"job {job.id}", force=job.promote == "force")
        except (RefusedError, NotNowError, NotAllowedError) as error:
            _logger.warning("the version of the run does not serve", reason=str(error))
            return {**found, "reason": str(error)}
        return {**found, "promoted": True}

    def _incumbent(self, version: Version) -> int | None:
        serving = self._promotion.serving
        return None if serving == version.number else serving

    async def _tokenizer(self, tokenizer_id: str) -> dict[str, JsonValue]:
        """The keys of ``[tokenizer]`` that name a tokenizer which a job made.

        Raises:
            FailedError: there is none of that name.
        """
        folder = self._paths.tokenizer_artifact(tokenizer_id)
        kind = await asyncio.to_thread(_kind_of, folder)
        return {"folder": str(folder), "kind": kind}


def _kind_of(folder: Path) -> str:
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return str(found["kind"])
    except FileNotFoundError as error:
        raise FailedError(f"there is no tokenizer '{folder.name}': train it first") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FailedError(f"the tokenizer '{folder.name}' cannot be read: {error}; train it again") from error
