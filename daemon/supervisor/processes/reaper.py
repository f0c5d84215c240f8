"""Orphans: whatever a worker leaves behind becomes the supervisor's child, and is ended and buried here."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Collection, Iterator
from pathlib import Path

from daemon import log

_PR_SET_CHILD_SUBREAPER = 36
_logger = log.get(__name__)
_helpers: set[int] = set()


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextlib.contextmanager
def helper(pid: int) -> Iterator[None]:
    """Leave a child alone that is no worker, until the block ends; whoever started it waits for it."""
    _helpers.add(pid)
    try:
        yield
    finally:
        _helpers.discard(pid)


def end_orphans(own: Collection[int]) -> None:
    """Kill every child that is not one of ``own``: it left the group of a worker that is gone."""
    for pid in _children() - set(own) - _helpers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            _logger.warning("a process that a worker left behind is killed", pid=pid)


def bury_orphans(own: Collection[int]) -> None:
    """Take the exit status of every dead child that is not one of ``own``.

    Asked one by one: waiting for any child would take the status of a worker from whoever watches it.
    """
    for pid in _children() - set(own) - _helpers:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _children() -> set[int]:
    children: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that ended, or a kernel without this file
            children.update(map(int, (thread / "children").read_text().split()))
    return children
