"""Has uploaded files checked, one after the other, each by a process of its own (`checking`)."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from daemon import background, log
from daemon.settings.sections import Tables
from daemon.workers.server.errors import ApiError
from daemon.workers.server.files.file_store import FileStore
from daemon.workers.server.files.findings import Findings
from daemon.workers.server.files.stored_file import StoredFile

SECONDS = 900.0
"""For one file."""
_MODULE = "daemon.workers.server.files.checking"
_logger = log.get(__name__)


class UncheckableError(Exception):
    """The process that checks did not come to an end of its own; the message says how it ended."""


class FileChecker:
    """What sets the status of uploaded files.

    Args:
        settings: gives those of now.
        check: reads one file to its end, in a thread.

    Attributes:
        store: where the files are.
    """

    def __init__(
        self,
        store: FileStore,
        settings: Callable[[], Tables],
        check: Callable[[Path, Tables], Findings] | None = None,
    ) -> None:
        self.store = store
        self._settings = settings
        self._check = check or in_a_process
        self._thread = ThreadPoolExecutor(1, "checking files")
        self._checks: dict[tuple[str, str], asyncio.Task[StoredFile]] = {}

    async def begin(self) -> None:
        """Remove what a crash left, and check what was not checked before the server's last end."""
        try:
            await self.store.sweep()
            for owner, file in await self.store.unchecked():
                self.check(owner, file)
        except ApiError as error:
            _logger.error("uploaded files cannot be looked at now", reason=error.message)  # noqa: TRY400

    def check(self, owner: str, file: StoredFile) -> None:
        """Check a file in the background."""
        key = owner, file.id
        task = background.begin(self._checked(owner, file), f"check of {file.id}")
        self._checks[key] = task
        task.add_done_callback(lambda _: self._checks.pop(key, None))

    async def checked(self, owner: str, name: str) -> StoredFile:
        """The file as soon as it is checked.

        Raises:
            ApiError: 404, there is none.
        """
        if (task := self._checks.get((owner, name))) is not None:
            await asyncio.wait([task])
        return await self.store.get(owner, name)

    async def _checked(self, owner: str, file: StoredFile) -> StoredFile:
        call, path, settings = self._check, self.store.content(owner, file.id), self._settings()
        try:
            findings = await asyncio.get_running_loop().run_in_executor(self._thread, call, path, settings)
            fault, samples = findings.fault, findings.samples
        except (UncheckableError, OSError) as error:
            _logger.warning("an uploaded file cannot be checked", file=file.id, reason=str(error))
            fault, samples = f"the file cannot be checked: {error}", {}
        status = "processed" if fault is None else "error"
        found = file.model_copy(update={"status": status, "status_details": fault, "samples": samples})
        await self.store.replace(owner, found)
        return found


def in_a_process(file: Path, settings: Tables) -> Findings:
    """What is in a file.

    Raises:
        UncheckableError: the process was killed, or took too long.
        OSError: it cannot be started.
    """
    told = settings.model_dump_json(include={"data", "tasks"})
    command = [sys.executable, "-P", "-m", _MODULE, str(file)]
    try:
        done = subprocess.run(command, input=told.encode(), capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UncheckableError(f"reading it took more than {SECONDS:g} seconds") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UncheckableError(said[-1] if said else f"its reader ended with status {done.returncode}")
    try:
        return Findings.model_validate_json(done.stdout)
    except ValidationError as error:
        raise UncheckableError(f"its reader said {done.stdout[:100]!r}") from error
