"""Tells the supervisor how far a phase of a cycle has come: often enough to be watched, seldom enough to be cheap."""

import time

from daemon.messages import PhaseProgress
from daemon.workers.runtime import Channel

_SECONDS = 0.5


class Phases:
    """The phases of one command, known by its id, such as tokenising or measuring the candidate."""

    def __init__(self, channel: Channel, command: int) -> None:
        self._channel = channel
        self._command = command
        self._activity, self._done = "", 0
        self._began = self._sent = 0.0

    def advance(self, activity: str, done: int = 0, total: int = 0) -> None:
        """``done`` of ``total`` are done; a total of 0 is not known. Counts as progress in any case."""
        self._channel.advance(activity)
        now = time.monotonic()
        if activity != self._activity or done < self._done:
            self._activity, self._began = activity, now
        elif now - self._sent < _SECONDS and (not total or done < total):
            return
        self._sent, self._done = now, done
        left = (now - self._began) * (total - done) / done if 0 < done <= total else None
        self._channel.send(
            PhaseProgress(to=self._command, activity=activity, done=done, total=total or None, eta_seconds=left)
        )
