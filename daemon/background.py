"""Tasks in the background, each with a name, and an unexpected end of one in the log."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

from daemon import log

_logger = log.get(__name__)
_T = TypeVar("_T")
_alive: set[asyncio.Task[object]] = set()
"""The loop itself holds tasks weakly, so one that nobody keeps might be collected while it runs."""


def begin(
    work: Coroutine[None, None, _T], name: str, on_failure: Callable[[BaseException], None] | None = None
) -> asyncio.Task[_T]:
    """Run ``work`` in a task of that name. Being cancelled is an expected end.

    Args:
        work: what to run.
        name: what it does, as logs and debuggers show it.
        on_failure: is called with what it raised, in place of a line in the log.
    """

    def ended(task: asyncio.Task[_T]) -> None:
        _alive.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if on_failure is not None:
            on_failure(error)
        else:
            _logger.error("a task in the background failed", task=name, exc_info=error)

    task = asyncio.create_task(work, name=name)
    _alive.add(task)
    task.add_done_callback(ended)
    return task
