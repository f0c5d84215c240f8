"""Who may use the device: the engine, iteration by iteration, or whoever captures a CUDA graph, between two of these.

While a graph is captured torch allows no other work on the device, of any thread in the process ("CUDA semantics",
constraints of graphs). Who captures goes first, so a busy engine does not keep it out.
"""

import contextlib
import threading
from collections.abc import Iterator


class Turns:
    """Of one device, an engine and one thread that captures."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._iterating = False
        self._claimed = False

    @contextlib.contextmanager
    def iteration(self) -> Iterator[None]:
        """The engine's turn; it waits while a graph is captured."""
        with self._changed:
            self._changed.wait_for(lambda: not self._claimed)
            self._iterating = True
        try:
            yield
        finally:
            with self._changed:
                self._iterating = False
                self._changed.notify()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Between two iterations, with none beside."""
        with self._changed:
            self._claimed = True
            self._changed.wait_for(lambda: not self._iterating)
        try:
            yield
        finally:
            with self._changed:
                self._claimed = False
                self._changed.notify()
