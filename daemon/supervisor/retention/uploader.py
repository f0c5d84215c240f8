"""Uploads what jobs made, one run and place after the other, and tells retention when local files may go."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import JsonValue, ValidationError

import daemon
from control.paths import Paths
from daemon import background, log
from daemon.clock import utc_now
from daemon.job import JobKind, JobState
from daemon.settings.sections import Tables
from daemon.supervisor.processes import reaper
from daemon.supervisor.retention import of_jobs
from daemon.supervisor.store.degradations import Degradations
from daemon.supervisor.store.job_records import Job
from daemon.supervisor.store.store import Store, StoreUnavailableError
from daemon.uploads import record
from daemon.uploads.order import Done, Order
from daemon.uploads.record import Upload, UploadRecord

_NICE = 10
_RETRY_SECONDS = 600.0
_ALL = 1_000_000
_logger = log.get(__name__)


class Uploader:
    """Begins with `start`, ends with `close`. An upload that fails is tried again every ten minutes.

    Args:
        bank_key: gives the key of the data bank.
        uploaded: is called when the local files of a run may go.
    """

    def __init__(
        self,
        store: Store,
        paths: Paths,
        tables: Callable[[], Tables],
        degradations: Degradations,
        bank_key: Callable[[], str | None],
        uploaded: Callable[[], None],
    ) -> None:
        self._store = store
        self._paths = paths
        self._tables = tables
        self._degradations = degradations
        self._bank_key = bank_key
        self._uploaded = uploaded
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Upload what is not uploaded yet, and whatever is completed from now on."""
        self._task = background.begin(self._work(), "uploads")

    def changed(self, job: Job, progress: Mapping[str, JsonValue] | None) -> None:
        """A job is in a new state; for `JobWatch.subscribe`."""
        if progress is None and job.kind is JobKind.TRAIN and job.state is JobState.COMPLETED:
            self._news.set()

    async def close(self) -> None:
        """Stop; an upload under way begins anew at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def upload_pending(self) -> None:
        """Upload every completed run that lacks one of the places of the settings.

        Raises:
            StoreUnavailableError: the jobs cannot be read, or what was done cannot be noted.
        """
        faults: list[str] = []
        for job in await self._store.jobs(_ALL, kind=JobKind.TRAIN, state=JobState.COMPLETED):
            run = of_jobs.artifact(job)
            folder = self._paths.artifacts / "models" / run
            if not folder.is_dir():
                continue
            for place in record.missing(record.read(self._paths, run), self._tables().uploads):
                if fault := await self._upload(run, folder, place):
                    faults.append(f"run {run} cannot be uploaded to {place}: {fault}")
                    _logger.warning("a run could not be uploaded", run=run, place=place, reason=fault)
        if faults:
            self._degradations.begin("uploads", f"{faults[0]}; it is tried again, and nothing local is removed")
        else:
            self._degradations.end("uploads")

    async def _work(self) -> None:
        while True:
            self._news.clear()
            try:
                await self.upload_pending()
            except (OSError, StoreUnavailableError) as error:
                _logger.warning("uploads wait", reason=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS):
                    await self._news.wait()

    async def _upload(self, run: str, folder: Path, place: str) -> str | None:
        """What went wrong, or null."""
        settings = self._tables()
        bank = settings.integrations.data_bank
        order = Order(
            place=place,
            name=run,
            folder=folder,
            links_into=self._paths.versions,
            verify=settings.uploads.verify,
            bank=bank.url,
            bank_key=self._bank_key(),
            bank_timeout=bank.timeout_seconds,
        )
        done = await _in_a_process(order)
        if done.error is not None:
            return done.error
        before = record.read(self._paths, run)
        upload = Upload(at=utc_now(), verified=done.verified, address=done.address)
        places = {**(before.places if before and before.sums == done.sums else {}), place: upload}
        await asyncio.to_thread(record.write, self._paths, UploadRecord(run=run, sums=done.sums, places=places))
        noted: dict[str, JsonValue] = {"run_id": run, "place": place, "address": done.address}
        await self._store.note("uploaded", {**noted, "verified": done.verified, "files": len(done.sums)})
        if settings.uploads.dry_run:
            _logger.info("would be removed after the upload", run=run, files=sorted(done.sums))
        elif settings.uploads.clean:
            asyncio.get_running_loop().call_later(settings.uploads.grace_seconds, self._uploaded)
        return None


async def _in_a_process(order: Order) -> Done:
    """Have another interpreter do it: the supervisor loads no libraries of clouds."""
    root = str(Path(daemon.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon.uploads"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )
    with reaper.helper(process.pid), contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        try:
            return await asyncio.to_thread(_answer, process, order)
        finally:
            process.kill()
            await asyncio.to_thread(process.wait)
    return Done(error="the uploading process was gone at once")


def _answer(process: "subprocess.Popen[bytes]", order: Order) -> Done:
    """Its standard input stays open until it has answered: when that closes, it ends."""
    assert process.stdin
    assert process.stdout
    assert process.stderr
    try:
        process.stdin.write(order.model_dump_json().encode() + b"\n")
        process.stdin.flush()
        said = process.stdout.readline()
        return Done.model_validate_json(said)
    except (OSError, ValidationError):
        process.kill()
        lines = process.stderr.read()[-2000:].decode(errors="replace").strip().splitlines()
        return Done(error=lines[-1] if lines else "the uploading process ended without a word")
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()
