"""Files between this host and thord: over HTTP, or by a folder that both reach. Sums are checked either way."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from daemon.supervisor.remote.host.thord_client import ThordClient, UnreachableError
from daemon.supervisor.remote.work import FileOnDisk, incoming
from engine import artifacts

_PIECE = 1 << 22
_TRIES = 5
_PAUSE_SECONDS = 2.0


class TransferError(Exception):
    """A file did not arrive as it was sent."""


class StoppedError(Exception):
    """The transfer was asked to stop."""


class Way(Protocol):
    """How files get there and back. Blocking."""

    def fetch(self, file: FileOnDisk, to: Path) -> None:
        """Have a file of thord at ``to``."""

    def send(self, file: FileOnDisk, source: Path) -> None:
        """Put a file into ``incoming/``."""


class OverHttp:
    """In pieces, each tried again where it failed."""

    def __init__(self, thord: ThordClient, job: int, attempt: int, stopping: threading.Event) -> None:
        self._thord = thord
        self._job = job
        self._attempt = attempt
        self._stopping = stopping

    def fetch(self, file: FileOnDisk, to: Path) -> None:
        """As `Way`."""
        with to.open("wb") as written:
            while (offset := written.tell()) < file.size:
                piece = self._patiently(lambda: self._thord.read(self._job, self._attempt, file.path, offset))
                if not piece:
                    raise TransferError(f"{file.path} ended after {offset} of {file.size} bytes")
                written.write(piece)

    def send(self, file: FileOnDisk, source: Path) -> None:
        """As `Way`."""
        with source.open("rb") as read:
            offset = 0
            while True:
                piece = read.read(_PIECE)
                if not piece and offset:
                    return
                self._patiently(lambda: self._thord.write(self._job, self._attempt, file.path, offset, piece))  # noqa: B023
                offset += len(piece)
                if not piece:
                    return

    def _patiently(self, call: Callable[[], bytes | None]) -> bytes | None:
        for tries in range(1, _TRIES + 1):
            if self._stopping.is_set():
                raise StoppedError
            try:
                return call()
            except UnreachableError:
                if tries == _TRIES:
                    raise
                self._stopping.wait(_PAUSE_SECONDS)
        return None


class BySharedFolder:
    """By copying: ``folder`` is the state folder of thord, as this host sees it."""

    def __init__(self, folder: Path, job: int, attempt: int, stopping: threading.Event) -> None:
        self._folder = folder
        self._incoming = folder / incoming(job, attempt)
        self._stopping = stopping

    def fetch(self, file: FileOnDisk, to: Path) -> None:
        """As `Way`."""
        self._copy(self._folder / file.path, to)

    def send(self, file: FileOnDisk, source: Path) -> None:
        """As `Way`."""
        target = self._incoming / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        self._copy(source, target)

    def _copy(self, source: Path, target: Path) -> None:
        if self._stopping.is_set():
            raise StoppedError
        shutil.copyfile(source, target)


def fetch(way: Way, files: list[FileOnDisk], state: Path) -> None:
    """Have files of thord under ``state``. What is there already, with the same sum, stays.

    Raises:
        TransferError: a file is not what its sum says.
        StaleError, UnreachableError, StoppedError, OSError: as the way has it.
    """
    for file in files:
        target = local(state, file.path)
        if target.is_file() and target.stat().st_size == file.size and artifacts.sha256_of(target) == file.sha256:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.part")
        way.fetch(file, draft)
        if (found := artifacts.sha256_of(draft)) != file.sha256:
            draft.unlink()
            raise TransferError(f"{file.path} arrived with the SHA-256 {found} and not {file.sha256}")
        draft.replace(target)


def local(state: Path, path: str) -> Path:
    """Where a file of thord is on this host.

    Raises:
        TransferError: outside the state folder, where nothing of thord's has to be.
    """
    parts = Path(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise TransferError(f"{path!r} is not a path inside the state folder")
    return state.joinpath(*parts)


def described(state: Path, file: Path) -> FileOnDisk:
    """A file of this host, as thord is told of it."""
    return FileOnDisk(path=str(file.relative_to(state)), size=file.stat().st_size, sha256=artifacts.sha256_of(file))
