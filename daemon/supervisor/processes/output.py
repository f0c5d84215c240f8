"""What a worker prints: stray prints, warnings of libraries and native crash traces end in that worker's own log.

Reading is slow on purpose when there is much: a worker that floods its output is held up by the full pipe, while the
supervisor goes on answering.
"""

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import IO

from daemon.clock import utc_now
from daemon.log import RotatingLog
from daemon.messages import WorkerName
from daemon.settings.sections import SupervisionSettings
from daemon.supervisor.processes.stacks import StackEntry, Stacks

_READ_AT_ONCE = 1 << 13
_BYTES_A_SECOND = 1 << 17
_SHORTEST_PAUSE_SECONDS = 0.01
_LONGEST_LINE = 1 << 13
_PIPE_CAPACITY = 1 << 16


class OutputLog:
    """The worker's log file, opened for each piece and closed again: the worker itself rotates it as well."""

    def __init__(self, worker: WorkerName, file: Path, settings: SupervisionSettings) -> None:
        self._worker = worker
        self._file = RotatingLog(
            file,
            maxBytes=settings.log_megabytes << 20,
            backupCount=settings.log_copies,
            encoding="utf-8",
            errors="replace",
            delay=True,
        )
        self._file.setFormatter(logging.Formatter("%(message)s"))

    def write(self, stream: str, entries: list[StackEntry]) -> None:
        """Append entries, each as one JSON object. A log that cannot be written loses them and nothing else."""
        own = {"process": self._worker, "worker": self._worker, "stream": stream}
        at = utc_now()
        lines = (
            {"at": at, "level": "info" if entry.is_stack else "warning", **own, "event": entry.text}
            for entry in entries
        )
        text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
        self._file.handle(logging.makeLogRecord({"msg": text}))
        self._file.close()


class Output:
    """One pipe from a worker, read line by line at no more than a fixed rate.

    Args:
        pipe: the reading end; closed at its end.
        stream: ``stdout`` or ``stderr``.
        sink: where lines go.
    """

    def __init__(self, pipe: IO[bytes], stream: str, sink: OutputLog) -> None:
        self._pipe = pipe
        self._stream = stream
        self._sink = sink
        self._partial = b""
        self._stacks = Stacks()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        os.set_blocking(pipe.fileno(), False)
        self._loop.add_reader(pipe.fileno(), self._read)

    def close(self) -> None:
        """Take what the pipe holds now, and stop reading: whoever may still hold the other end is not waited for."""
        if self._pipe.closed:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._pipe.fileno())
        for _ in range(_PIPE_CAPACITY // _READ_AT_ONCE):
            if not self._take_piece():
                break
        self._write(self._partial.splitlines())
        self._log([*self._stacks.end()])
        self._pipe.close()

    def _read(self) -> None:
        taken = self._take_piece()
        if taken == 0:
            self.close()
            return
        self._loop.remove_reader(self._pipe.fileno())
        self._pause = self._loop.call_later(max(taken / _BYTES_A_SECOND, _SHORTEST_PAUSE_SECONDS), self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._pipe.fileno(), self._read)

    def _take_piece(self) -> int:
        """Read once and write every whole line; how many bytes there were, 0 at the end."""
        try:
            piece = os.read(self._pipe.fileno(), _READ_AT_ONCE)
        except BlockingIOError:
            return 0
        lines = (self._partial + piece).splitlines(keepends=True)
        whole = not lines or lines[-1].endswith((b"\n", b"\r")) or len(lines[-1]) >= _LONGEST_LINE
        self._partial = b"" if whole else lines.pop()
        self._write(lines)
        return len(piece)

    def _write(self, lines: list[bytes]) -> None:
        self._log([entry for line in lines if line.strip() for entry in self._stacks.take(line.rstrip())])

    def _log(self, entries: list[StackEntry]) -> None:
        if entries:
            self._sink.write(self._stream, entries)
