"""Masks of answers, worked out beside the engine: what one costs delays its own answer and no other.

There are two threads, because constraints differ by a factor of a thousand in what a mask costs: one whose masks have
been slow several times goes to the second, where it can delay only others of its kind.
"""

import queue
import threading
import time
from collections.abc import Callable

from engine.inference.constraints.constraint import Allowed, Progress, StructureError

SLOW_SECONDS = 0.002
"""A mask that takes longer counts as slow. Most take less than 0.0001."""
PATIENCE = 3
"""So many slow masks are nothing unusual: the first ones in each new part of a structure take longer."""


class MaskThreads:
    """The threads, each begun with the first mask that is asked of it."""

    def __init__(self) -> None:
        self._quick = _Worker("masks")
        self._slow = _Worker("slow masks")

    def mask(self, progress: Progress, first: Allowed | None) -> "ThreadedMask":
        """The mask of a new answer; ``first`` is what it may begin with."""
        return ThreadedMask(progress, first, self)

    def put(self, work: Callable[[], None], *, slow: bool) -> None:
        """Have something worked out."""
        (self._slow if slow else self._quick).put(work)


class ThreadedMask:
    """Implements `engine.inference.constraints.constraint.RowMask`."""

    def __init__(self, progress: Progress, first: Allowed | None, threads: MaskThreads) -> None:
        self.allowed = first
        self.failure = ""
        self._progress = progress
        self._threads = threads
        self._slow_ones = 0
        self._done = threading.Event()
        self._done.set()

    @property
    def ready(self) -> bool:
        """As the Protocol."""
        return self._done.is_set()

    @property
    def slow(self) -> bool:
        """As the Protocol."""
        return self._slow_ones > PATIENCE

    def advance(self, token: int) -> None:
        """As the Protocol."""
        self._done.clear()
        self._threads.put(lambda: self._work_out(token), slow=self.slow)

    def wait(self, seconds: float) -> None:
        """As the Protocol."""
        self._done.wait(seconds)

    def _work_out(self, token: int) -> None:
        began = time.perf_counter()
        try:
            self._progress.consume(token)
            self.allowed = self._progress.allowed()
        except StructureError as error:
            self.failure = str(error)
        except Exception as error:  # a thread of many answers must not end with one
            self.failure = f"the structure cannot be followed: {type(error).__name__}"
        self._slow_ones += time.perf_counter() - began > SLOW_SECONDS
        self._done.set()


class _Worker:
    """One thread and its queue."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, work: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._queue.put(work)

    def _run(self) -> None:
        while True:
            self._queue.get()()
