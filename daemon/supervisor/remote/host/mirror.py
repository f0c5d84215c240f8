"""What a run writes on this host, kept at thord's too, so that another host can go on from the last checkpoint."""

import shutil
import threading
from pathlib import Path

from daemon.supervisor.remote.host.thord_client import ThordClient
from daemon.supervisor.remote.host.transfer import Way
from daemon.supervisor.remote.work import LOG, Delivery, FileOnDisk
from engine import artifacts

_CHECKPOINTS = "checkpoints"
_MADE_AGAIN = "data"
"""Folder of a run with its packed rows, which follow from the snapshot."""


class Mirror:
    """Sends what is new in the folder of a run.

    Args:
        state: the state folder of this host.
        run: the folder of the run in it.
        log: what the attempts at the job logged here; it is begun anew by whoever makes the mirror.
        way: how files get there.
    """

    def __init__(self, thord: ThordClient, way: Way, job: int, attempt: int, state: Path, run: Path, log: Path) -> None:
        self._thord = thord
        self._way = way
        self._job = job
        self._attempt = attempt
        self._state = state
        self._run = run
        self._log = log
        self._sent: dict[Path, tuple[int, int]] = {}
        self._one_at_a_time = threading.Lock()

    def arrived(self) -> None:
        """Note that what is in the folder now came from thord."""
        self._sent = {file: _stamp(file) for file in self._files()}

    def send(self) -> None:
        """Send what changed since the last time. Blocking; also while the last call, which nobody waits for, goes on.

        Raises:
            StaleError, UnreachableError, StoppedError, OSError: as the way has it; do it again.
        """
        with self._one_at_a_time:
            self._send()

    def _send(self) -> None:
        new: dict[Path, tuple[int, int]] = {}
        files: list[FileOnDisk] = []
        for file in self._files():
            try:
                stamp = _stamp(file)
                if self._sent.get(file) == stamp:
                    continue
                source = self._still(file)
                found = FileOnDisk(
                    path=LOG if file == self._log else str(file.relative_to(self._state)),
                    size=source.stat().st_size,
                    sha256=artifacts.sha256_of(source),
                )
                self._way.send(found, source)
            except FileNotFoundError:
                continue  # an old checkpoint, removed just now
            files.append(found)
            new[file] = stamp
        if files:
            names = tuple(sorted(folder.name for folder in self._run.glob(f"{_CHECKPOINTS}/*") if _is_whole(folder)))
            self._thord.deliver(self._job, Delivery(attempt=self._attempt, files=tuple(files), checkpoints=names))
            self._sent |= new

    def _still(self, file: Path) -> Path:
        """The file, or a copy of it where somebody may write to it while it is read."""
        if _CHECKPOINTS in file.parts:
            return file
        self._run.mkdir(parents=True, exist_ok=True)
        copy = self._run / ".sending"
        shutil.copyfile(file, copy)
        return copy

    def _files(self) -> list[Path]:
        found = [self._log] if self._log.exists() else []
        for file in sorted(self._run.rglob("*")):
            parts = file.relative_to(self._run).parts
            if parts[0] == _MADE_AGAIN or any(part.startswith(".") for part in parts) or not file.is_file():
                continue
            found.append(file)
        return found


def _is_whole(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(".")


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns
