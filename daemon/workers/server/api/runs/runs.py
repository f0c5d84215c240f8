"""What the routes of runs stand on: jobs as they are asked for and looked up, and the versions that runs made."""

import asyncio
import contextlib
import hashlib
import re
import time
from pathlib import Path

from fastapi import Request

from control.answers import Json
from control.job_answers import FINAL, Job, NewJob
from control.paths import Paths, version_name
from daemon.uploads import data_bank
from daemon.uploads.place import UploadError
from daemon.workers.server.api.runs.computing import RunComputer
from daemon.workers.server.chats.run_chats import RunChats
from daemon.workers.server.errors import ApiError
from daemon.workers.server.files.file_store import FileStore
from daemon.workers.server.runs.file_roots import resolve
from daemon.workers.server.runs.logs import RunLogs
from daemon.workers.server.runs.port import JobPort
from daemon.workers.server.runs.runner import JobRunner, Visitors
from daemon.workers.server.service import InferenceService

LONGEST_WAIT = 60.0
"""Seconds that a request may wait for a job to end."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_NUMBER = re.compile(r"(?:run|req|tokenizer)-(?P<number>[0-9]{1,18})")
_REQUEST = re.compile(r"req-(?P<number>[0-9]{1,18})")
_IDEMPOTENCY_KEY = "idempotency-key"


class Runs:
    """Runs and what is asked of them.

    Attributes:
        service: the model that serves, and its settings.
        jobs: the rows.
        runner: computes what is asked of versions.
        chats: what was said to versions.
        logs: what runs say.
        paths: where everything is.
    """

    def __init__(
        self, service: InferenceService, jobs: JobPort, guests: Visitors, files: FileStore, paths: Paths
    ) -> None:
        self.service = service
        self.jobs = jobs
        self.chats = RunChats(service.sessions)
        self.runner = JobRunner(jobs, guests, RunComputer(service, self.chats), service.stopping)
        self.logs = RunLogs(jobs, paths)
        self.paths = paths
        self._files = files

    async def submit(
        self, http: Request, kind: str, request: dict[str, Json], asked: NewJob, *, run_id: str | None = None
    ) -> Job:
        """Ask for a job, once where its client named an idempotency key.

        Raises:
            ApiError: 409, the run exists; 422, the request is wrong, or the key came with another one; 503.
        """
        owner: str = http.state.owner
        whole: NewJob = {**asked, "request": request}
        if run_id is not None:
            whole["run_id"] = run_id
        if owner:
            whole["owner"] = owner
        if (key := http.headers.get(_IDEMPOTENCY_KEY)) is not None:
            if not 0 < len(key) <= 255:
                raise ApiError(422, "invalid_value", "Idempotency-Key: 1 to 255 characters are expected")
            scoped = f"{owner}\n{http.url.path}\n{key}"
            whole["idempotency_key"] = hashlib.sha256(scoped.encode()).hexdigest()
        job = await self.jobs.submit(kind, whole)
        self.runner.take(job)
        return job

    async def run(self, run_id: str) -> Job:
        """The training that a run is, with its attempts.

        Raises:
            ApiError: 404, there is no such run.
        """
        return await self._named("train", run_id, f"there is no run {run_id[:128]!a}")

    async def tokenizer(self, tokenizer_id: str) -> Job:
        """The training of a tokenizer.

        Raises:
            ApiError: 404, there is none.
        """
        return await self._named("tokenizer", tokenizer_id, f"there is no tokenizer {tokenizer_id[:128]!a}")

    async def evaluation(self, run_id: str) -> Job:
        """The newest evaluation of a run.

        Raises:
            ApiError: 404, there is none.
        """
        found = await self.jobs.find(kind="evaluate", run_id=run_id)
        if not found:
            message = f"run {run_id[:128]!a} was not evaluated: POST /runs/{run_id[:128]}/evaluate does"
            raise ApiError(404, "not_found", message)
        return found[0]

    async def asked(self, http: Request, kind: str, run_id: str, request_id: str) -> Job:
        """What was asked of a run's version; a client sees only its own.

        Raises:
            ApiError: 404, there is no such request.
        """
        named = _REQUEST.fullmatch(request_id)
        owner: str = http.state.owner
        if named is not None:
            job = await self._got(int(named["number"]))
            is_own = not owner or job is None or job["owner"] == owner
            if job is not None and job["kind"] == kind and job["request"].get("run") == run_id and is_own:
                return job
        message = f"run {run_id[:128]!a} has no {kind} request {request_id[:128]!a}"
        raise ApiError(404, "not_found", message)

    async def version(self, run_id: str) -> int:
        """The version that a run made, or one that is named as models are: ``thor``, ``thor@000012``.

        Raises:
            ApiError: 404, there is none of that name; 409, the run has no version yet, or its version was removed.
        """
        try:
            job = await self.run(run_id)
        except ApiError as error:
            if error.status != 404 or (version := self._of_model(run_id)) is None:
                raise
        else:
            if job["state"] not in FINAL:
                raise ApiError(409, "run_not_completed", f"run {run_id!r} is {job['state']}: it has no version yet")
            if job["version"] is None or job["state"] != "completed":  # a number is set aside before anything is made
                raise ApiError(409, "run_without_version", f"run {run_id!r} ended without a version: {job['error']}")
            version = int(job["version"])
        if not (self.paths.version(version) / "manifest.json").exists():
            raise ApiError(409, "version_removed", f"version {version_name(version)} is not kept any more")
        return version

    async def ended(self, job: Job, seconds: float) -> Job:
        """The job when it has ended, or as it is after ``seconds``, at most `LONGEST_WAIT`."""
        end, pause = time.monotonic() + min(seconds, LONGEST_WAIT), _FIRST_PAUSE
        while job["state"] not in FINAL and (left := end - time.monotonic()) > 0:
            if self.service.stopping.is_set():
                break
            await self.runner.wait(job["id"], min(left, _LONGEST_PAUSE))
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)
            job = await self.jobs.get(job["id"])
        return job

    async def corpus(self, http: Request, file_id: str | None, path: str | None) -> Path:
        """Where the corpus lies that a request names, as a file that its client uploaded or by its path.

        Raises:
            ApiError: 403, 404 or 422.
        """
        if file_id is None:
            roots = self.service.settings.api.file_roots
            return await asyncio.to_thread(resolve, path or "", roots, "corpus_path")
        owner: str = http.state.owner
        try:
            await self._files.get(owner, file_id)
        except ApiError as error:
            if error.status != 404:
                raise
            return await asyncio.to_thread(self._from_data_bank, file_id)
        return self._files.content(owner, file_id)

    def _from_data_bank(self, file_id: str) -> Path:
        """A file of the data bank, fetched if it is not here yet.

        Raises:
            ApiError: 404, there is no such file, or no data bank; 422, it cannot be had.
        """
        param = "corpus_file_id"
        try:
            bank = data_bank.of(self.service.settings.integrations.data_bank, self.paths)
            if bank is not None:
                return bank.fetch(file_id, self.paths.corpora)
        except (UploadError, OSError) as error:
            raise ApiError(422, "corpus_unavailable", f"{param}: {error}", param=param) from None
        message = f"{param}: no file {file_id[:128]!a} was uploaded, and integrations.data_bank.url names no data bank"
        raise ApiError(404, "file_not_found", message, param=param)

    async def _named(self, kind: str, name: str, missing: str) -> Job:
        for found in await self.jobs.find(kind=kind, run_id=name):
            return await self.jobs.get(found["id"])
        if (numbered := _NUMBER.fullmatch(name)) is not None:
            job = await self._got(int(numbered["number"]))
            if job is not None and job["kind"] == kind and job["run_id"] is None:
                return job
        raise ApiError(404, "not_found", missing)

    async def _got(self, number: int) -> Job | None:
        try:
            return await self.jobs.get(number)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def _of_model(self, name: str) -> int | None:
        """The version that a model's name means, in memory or not."""
        _, at, version = name.rpartition("@")
        if at and version.isdecimal() and len(version) <= 9:
            name, pin = name[: -len(at + version)], int(version)
            return pin if self.service.is_called(name) else None
        with contextlib.suppress(ApiError):
            pinned = self.service.pin(name)
            if pinned is not None:
                return pinned
            serving = self.service.slots.serving
            return None if serving is None else serving.version
        return None
