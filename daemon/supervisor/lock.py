"""One thord a home: locks that the kernel releases however the process ends."""

import fcntl
import os
from pathlib import Path

from control.paths import Paths
from daemon.supervisor.start_error import StartError


class Lock:
    """Held from construction until `close`, on the pid file and beside the state: the two may be given apart.

    Raises:
        StartError: another thord holds one of them, or they cannot be written.
    """

    def __init__(self, paths: Paths) -> None:
        self._files: list[int] = []
        try:
            for file in (paths.pid_file, paths.lock_file):
                self._take(file, paths.state)
        except StartError:
            self.close()
            raise

    def close(self) -> None:
        """Let another one start. The files stay: removing one would let two hold locks on files of the same name."""
        for file in self._files:
            os.ftruncate(file, 0)
            os.close(file)
        self._files.clear()

    def _take(self, path: Path, state: Path) -> None:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StartError(f"cannot open {path}: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 32).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise StartError(
                f"thord is already running on {state} (pid {holder}); stop it with 'thorctl stop', "
                "or choose another home with --home DIR"
            ) from None
        try:
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(file)
            raise StartError(f"cannot write {path}: {error.strerror}") from None
        self._files.append(file)
