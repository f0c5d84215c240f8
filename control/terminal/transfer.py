"""The progress of a transfer: a bar of bytes on a terminal, plain lines in a pipe; on standard error beside JSON."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from control.terminal import output

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SECONDS = 3.0
"""Between two lines in a pipe."""


def watcher(*, json: bool) -> Bar | Lines:
    """What shows a transfer here; with ``json`` standard output is left to the result."""
    stream = sys.stderr if json else sys.stdout
    return Bar(stderr=json) if stream.isatty() else Lines(json=json)


class Lines:
    """Says each step at once, and how far it is some seconds apart."""

    def __init__(self, *, json: bool) -> None:
        self._say = output.say_error if json else output.say
        self._next = 0.0

    def note(self, text: str) -> None:
        """Print it."""
        self._say(text)
        self._next = time.monotonic() + _SECONDS

    def advance(self, done: int, total: int) -> None:
        """Print how far it is, now and then."""
        if done and time.monotonic() >= self._next:
            self._say(f"  {done / 1e6:.0f} of {total / 1e6:.0f} MB")
            self._next = time.monotonic() + _SECONDS

    def close(self) -> None:
        """Do nothing: lines stay."""


class Bar:
    """A bar below the last step."""

    def __init__(self, *, stderr: bool) -> None:
        from rich.console import Console

        self._console = Console(stderr=stderr, highlight=False, markup=False)
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def note(self, text: str) -> None:
        """Print it, and begin a new bar."""
        self.close()
        self._console.print(text, soft_wrap=True)

    def advance(self, done: int, total: int) -> None:
        """Move the bar."""
        if self._bar is None:
            from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

            columns = (BarColumn(None), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self._console, transient=True, expand=True)
            self._task = self._bar.add_task("", total=total)
            self._bar.start()
        if self._task is not None:
            self._bar.update(self._task, completed=done)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = None
