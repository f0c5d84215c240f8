"""What is wrong right now, for ``status``; and patience with a store that cannot be written."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from daemon import log
from daemon.supervisor.store.database import StoreUnavailableError

_logger = log.get(__name__)
_T = TypeVar("_T")

_LONGEST_PAUSE = 15.0
"""Seconds between tries."""


class Degradations:
    """Reasons why the service is degraded, each under the name of what it concerns.

    Args:
        changed: called whenever there is another reason, or one less.
        first_pause: seconds before what failed is tried again.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None, *, first_pause: float = 0.5) -> None:
        self._reasons: dict[str, str] = {}
        self._changed = changed
        self._first_pause = first_pause

    def begin(self, subject: str, reason: str) -> None:
        """Note that something is wrong; it is logged when it begins and when the reason changes."""
        if self._reasons.get(subject) != reason:
            _logger.error("degraded", subject=subject, reason=reason)
            self._reasons[subject] = reason
            self._changed()

    def end(self, subject: str) -> None:
        """Note that the subject is well again."""
        if self._reasons.pop(subject, None) is not None:
            _logger.info("degraded no more", subject=subject)
            self._changed()

    def reasons(self) -> list[str]:
        """The reasons for everything that is wrong now."""
        return list(self._reasons.values())

    def pauses(self) -> Iterator[float]:
        """Seconds to wait between tries, without end; each pause doubles the one before, up to a limit."""
        pause = self._first_pause
        while True:
            yield pause
            pause = min(2 * pause, _LONGEST_PAUSE)


async def retry_until_stored(call: Callable[[], Awaitable[_T]], degradations: Degradations) -> _T:
    """Do it, and again with growing pauses for as long as the disk is full or read-only; service goes on meanwhile."""
    pauses = degradations.pauses()
    while True:
        try:
            result = await call()
        except StoreUnavailableError as error:
            degradations.begin("store", f"{error}; trying again until it works")
            await asyncio.sleep(next(pauses))
        else:
            degradations.end("store")
            return result
