"""``python -m daemon.workers.intake.parsing DESCRIPTOR``: parses files for the intake that started it.

The end of the connection ends the process, and so does the end of the intake.
"""

import ctypes
import os
import signal
import socket
import sys
import traceback
from multiprocessing.connection import Connection
from typing import BinaryIO

from daemon.process_exit import leave
from daemon.workers.intake.parsing.blocks import Raised, Request, blocks_of
from daemon.workers.intake.parsing.wire import Packed, packed

_PR_SET_PDEATHSIG = 1
_BUFFER_BYTES = 1 << 18
"""Of a file, so that few lines of it are read in two parts."""


def main(descriptor: int) -> None:
    """Answer requests until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    line = socket.socket(fileno=descriptor)
    connection = Connection(os.dup(descriptor))
    try:
        while True:
            _, files, _, _ = socket.recv_fds(line, 1, 1)
            if not files:
                return
            with os.fdopen(files[0], "rb", _BUFFER_BYTES) as file:
                _answer(connection.recv(), file, connection)
    except (EOFError, ConnectionError):
        return


def _answer(request: Request, file: BinaryIO, connection: "Connection[Packed | Raised | None, Request]") -> None:
    """Send the blocks of a file, and null behind them; where a reader raises, how."""
    blocks = blocks_of(request, file)
    while True:
        try:
            block = next(blocks, None)
        except Exception as error:
            trace = "".join(traceback.format_exception(error))
            connection.send(Raised(f"{type(error).__name__}: {error}", trace))
            return
        connection.send(None if block is None else packed(block))
        if block is None:
            return


if __name__ == "__main__":
    main(int(sys.argv[1]))
    leave()
