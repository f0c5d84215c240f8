"""What the server may ask of the supervisor, and how it asks: over the control socket, beside the event loop."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Protocol, TypeVar

from control.answers import Status
from control.client import Thord
from control.errors import ThordError
from control.paths import Paths
from daemon import log
from daemon.workers.server.errors import ApiError

T = TypeVar("T")
_logger = log.get(__name__)


class SupervisorPort(Protocol):
    """The supervisor, as the server sees it."""

    async def status(self) -> Status:
        """What thord is doing.

        Raises:
            ApiError: 503, the supervisor gave no answer, or too many questions wait for one.
        """
        ...


class ControlSocket:
    """Asks over the control socket, each question in a thread, so that answers of the model never wait for it.

    Args:
        paths: where the supervisor's control socket is.
        at_once: questions under way or waiting for a thread; more are refused.
        threads: questions that are really under way.
        seconds: how long to wait for an answer.

    Attributes:
        thord: what may be asked.
    """

    def __init__(self, paths: Paths, *, at_once: int = 4, threads: int = 4, seconds: float = 5.0) -> None:
        self.thord = Thord(paths=paths)
        self._at_once = at_once
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="supervisor")
        self._under_way = 0

    async def status(self) -> Status:
        """What thord is doing; the errors are those of `SupervisorPort.status`."""
        return await self.ask(self.thord.status)

    async def ask(self, question: Callable[[], T], refusals: Mapping[str, int] = MappingProxyType({})) -> T:
        """The answer to a question. One that takes too long keeps its thread until the socket's own time-out.

        ``refusals`` are the HTTP statuses of refusals, by their codes, that are the client's to hear.

        Raises:
            ApiError: 503, see `SupervisorPort`; or the supervisor refused.
        """
        if self._under_way >= self._at_once:
            raise ApiError(503, "supervisor_busy", "too many requests ask about thord itself at once", retry_after=1)
        self._under_way += 1
        asked = asyncio.get_running_loop().run_in_executor(self._threads, question)
        asked.add_done_callback(self._note_end)
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.shield(asked)
        except (ThordError, TimeoutError) as error:
            if isinstance(error, ThordError) and error.code in refusals:
                raise ApiError(refusals[error.code], error.code, str(error)) from None
            _logger.warning("the supervisor did not answer", reason=str(error) or f"no answer in {self._seconds:g} s")
            message = "thord is busy or restarting and cannot tell now; try again in a moment"
            raise ApiError(503, "supervisor_away", message, retry_after=2) from None

    def _note_end(self, asked: "asyncio.Future[T]") -> None:
        self._under_way -= 1
        if not asked.cancelled():
            asked.exception()  # whoever asked may be gone, and then nobody else looks at it
