"""Where files are parsed: small ones in this process, large ones beside it, while this one records what was parsed.

The other process is started with the first large file, and stays. It dies with this one. Where it dies while it parses,
so does this one: the next intake finds the note of what was being read (`daemon.workers.intake.now_reading`).
"""

import os
import socket
import subprocess
import sys
from collections.abc import Generator
from multiprocessing.connection import Connection
from typing import NoReturn

from daemon import log
from daemon.process_exit import leave
from daemon.workers.intake.parsing.blocks import Block, Raised, Request, blocks_of
from daemon.workers.intake.parsing.wire import Packed, unpacked
from engine import cgroup

_logger = log.get(__name__)
_LARGE = 1 << 20
"""Bytes of a file that are worth a question to another process."""
MODULE = "daemon.workers.intake.parsing"


class ParsingError(Exception):
    """A reader raised what nobody expected, in the other process; its trace is a note."""


class Parser:
    """Parses files, one at a time."""

    def __init__(self) -> None:
        self._other: _Other | None = None

    def blocks(self, request: Request, descriptor: int) -> Generator[Block]:
        """What is in an open file; close the iterator where it is not read to its end.

        Raises:
            ParsingError: see there. In this process a reader's exception comes as it is.
        """
        start = request.resume.offset if request.resume else 0
        if os.fstat(descriptor).st_size - start < _LARGE or cgroup.processors() < 2:
            with os.fdopen(os.dup(descriptor), "rb") as stream:
                yield from blocks_of(request, stream)
            return
        if self._other is not None and self._other.has_ended():  # between files, so that no file is to blame
            self.stop()
        if self._other is None:
            self._other = _Other()
        is_at_rest = False
        try:
            self._other.ask(request, descriptor)
            while isinstance(answer := self._other.answer(), Block):
                yield answer
            is_at_rest = True
        finally:
            if not is_at_rest:
                self.stop()
        if answer is not None:
            error = ParsingError(answer.reason)
            error.add_note(answer.trace)
            raise error

    def stop(self) -> None:
        """End the other process, where there is one."""
        if self._other is not None:
            self._other.stop()
            self._other = None


class _Other:
    """The other process, and the line to it."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        with theirs:
            command = (sys.executable, "-P", "-m", MODULE, str(theirs.fileno()))
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),))
        self._connection = Connection(os.dup(self._line.fileno()))

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def ask(self, request: Request, descriptor: int) -> None:
        """Have a file parsed."""
        try:
            socket.send_fds(self._line, [b" "], [descriptor])
            self._connection.send(request)
        except OSError:
            self._end()

    def answer(self) -> Block | Raised | None:
        """The next block of the file, null behind the last one, or what a reader raised."""
        try:
            received: Packed | Raised | None = self._connection.recv()
        except (EOFError, OSError):  # OSError: it died in the middle of a block
            self._end()
        return unpacked(received) if isinstance(received, Packed) else received

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()
        self._line.close()

    def _end(self) -> NoReturn:
        """Do as if this process had died of what the other one died of, with nothing tidied up."""
        status = self._process.wait()
        _logger.critical("reading a file ended the process that parses", status=status)
        leave(1)
