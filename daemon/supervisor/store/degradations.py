"""What is wrong right now, for ``status``; and patience with a store that cannot be written."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from daemon import log
from daemon.supervisor.store.database import StoreUnavailableError

_logger = log.get(__name__)
_T = TypeVar("_T")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0
"""Seconds between tries; each pause doubles the one before."""


class Degradations:
    """Reasons why the service is degraded, each under the name of what it concerns.

    Args:
        changed: called whenever there is another reason, or one less.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._reasons: dict[str, str] = {}
        self._changed = changed

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


async def retry_until_stored(call: Callable[[], Awaitable[_T]], degradations: Degradations) -> _T:
    """Do it, and again with growing pauses for as long as the disk is full or read-only; service goes on meanwhile."""
    pause = FIRST_PAUSE
    while True:
        try:
            result = await call()
        except StoreUnavailableError as error:
            degradations.begin("store", f"{error}; trying again until it works")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            degradations.end("store")
            return result
