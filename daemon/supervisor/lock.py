"""One thord a home: a lock on the pid file, which the kernel releases however the process ends."""

import fcntl
import os

from control.paths import Paths
from daemon.supervisor.start_error import StartError


class Lock:
    """Held from construction until `close`.

    Raises:
        StartError: another thord holds it, or it cannot be written.
    """

    def __init__(self, paths: Paths) -> None:
        try:
            self._file = os.open(paths.pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StartError(f"cannot open {paths.pid_file}: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise StartError(
                f"thord is already running on {paths.state} (pid {holder}); stop it with 'thorctl stop', "
                "or choose another home with --home DIR"
            ) from None
        try:
            self._write(f"{os.getpid()}\n")
        except OSError as error:
            os.close(self._file)
            raise StartError(f"cannot write {paths.pid_file}: {error.strerror}") from None

    def close(self) -> None:
        """Let another one start. The file stays: removing it would let two hold locks on files of the same name."""
        self._write("")
        os.close(self._file)

    def _write(self, text: str) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text.encode(), 0)
