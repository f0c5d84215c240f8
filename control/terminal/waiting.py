"""Waiting for a slow answer of thord, and saying meanwhile what a worker is doing."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from control import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from control.client import Thord

T = TypeVar("T")
_LOOK_SECONDS = 1.0
_SAY_SECONDS = 5.0


class _Work(threading.Thread, Generic[T]):
    """Asks in a thread of its own, which does not keep thorctl from ending."""

    def __init__(self, ask: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self._ask = ask
        self.answers: list[T] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.answers.append(self._ask())
        except Exception as error:
            self.error = error


def wait(ask: Callable[[], T], thord: Thord, worker: str, say: Callable[[str], None]) -> T:
    """What ``ask`` returns; until then ``say`` is given what the worker does, some seconds apart.

    Raises:
        Exception: what ``ask`` raises.
    """
    work = _Work(ask)
    work.start()
    said, at = "", time.monotonic()
    while work.is_alive():
        work.join(_LOOK_SECONDS)
        if work.is_alive() and time.monotonic() >= at + _SAY_SECONDS:
            activity = _activity(thord, worker)
            if activity and activity != said:
                say(activity)
                said, at = activity, time.monotonic()
    if work.error is not None:
        raise work.error
    return work.answers[0]


def _activity(thord: Thord, worker: str) -> str:
    with contextlib.suppress(errors.ThordError, KeyError):
        return thord.status()["workers"][worker].get("activity", "")
    return ""
