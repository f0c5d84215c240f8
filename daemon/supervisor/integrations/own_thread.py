"""A thread for calls that may block for long: a bounded queue in front of it, and nobody who has to wait for it."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


class BusyError(Exception):
    """So many calls wait already that this one was not taken."""


class OwnThread:
    """Carries out calls one after the other. It ends with the process, whatever a call is waiting for.

    Args:
        name: of the thread.
        capacity: how many calls may wait.
    """

    def __init__(self, name: str, capacity: int) -> None:
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue(capacity)
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def offer(self, call: Callable[[], None]) -> bool:
        """Have it called some time; False where too many wait. It must not raise. Never blocks."""
        with contextlib.suppress(queue.Full):
            self._calls.put_nowait(call)
            return True
        return False

    async def run(self, call: Callable[[], _T]) -> _T:
        """What the call returns or raises.

        Raises:
            BusyError: too many calls wait.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_T] = loop.create_future()

        def settle(result: Callable[[], None]) -> None:
            if not done.done():
                result()

        def carry_out() -> None:
            try:
                value = call()
            except Exception as error:
                problem = error
                _tell(loop, lambda: settle(lambda: done.set_exception(problem)))
            else:
                _tell(loop, lambda: settle(lambda: done.set_result(value)))

        if not self.offer(carry_out):
            raise BusyError(f"{self._calls.maxsize} calls wait already")
        return await done

    def close(self) -> None:
        """Let the thread end after what it does now; what waits is dropped."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._calls.get_nowait()
        with contextlib.suppress(queue.Full):
            self._calls.put_nowait(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
        loop.call_soon_threadsafe(call)
