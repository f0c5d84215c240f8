"""When a worker was last heard of, and the time limits that it is under: to be ready, to say something, to get on."""

import math
import os
from dataclasses import dataclass, field, replace

from daemon.messages import Beat
from daemon.settings.sections import SupervisionSettings
from daemon.supervisor.fair_share import usage
from daemon.supervisor.fair_share.usage import Usage
from daemon.supervisor.processes import time_limits

_LEAST_PAUSE_SECONDS = 0.1
"""Between two looks at a worker that is late."""


@dataclass
class Clock:
    """One time limit, measured from what the worker had used when the time began.

    Attributes:
        since: what it had used then.
        again: it was late and excused, and is not judged before this monotonic time.
    """

    since: Usage = field(default_factory=lambda: Usage(at=math.inf))
    again: float = 0.0

    def due(self, limit: float) -> float:
        """The monotonic time at which the limit can be over, at the earliest."""
        return max(self.since.at + limit, self.again)

    def why_over(self, limit: float, now: Usage) -> str:
        """What the worker did instead, where the limit is over; empty where it is excused for now."""
        span = usage.between(self.since, now)
        if time_limits.is_over(span, limit):
            return time_limits.describe(span, os.getloadavg()[0], os.cpu_count() or 1)
        self.again = now.at + max(time_limits.left(span, limit), _LEAST_PAUSE_SECONDS)
        return ""


@dataclass(frozen=True)
class Limit:
    """A clock, the seconds it allows, and what is said of a worker that is beyond them."""

    clock: Clock
    seconds: float
    broken: str


@dataclass
class Heartbeat:
    """Of one process. ``ready_at`` is in monotonic seconds."""

    ready_at: float = math.inf
    boot: Clock = field(default_factory=Clock)
    silence: Clock = field(default_factory=Clock)
    standstill: Clock = field(default_factory=Clock)
    progress: int = 0
    activity: str = ""
    busy: bool = False

    def heard(self, now: float) -> None:
        """The worker sent a message. What it used is read with each beat, which is often enough."""
        self.silence = Clock(replace(self.silence.since, at=now))

    def beaten(self, beat: Beat, used: Usage) -> None:
        """Note that the worker sent a sign of life."""
        self.silence = Clock(used)
        if beat.progress != self.progress or not (beat.busy and self.busy):
            self.standstill = Clock(used)
        self.progress, self.activity, self.busy = beat.progress, beat.activity, beat.busy

    def ready(self, used: Usage) -> None:
        """Note that the worker can do its work."""
        self.ready_at = used.at
        self.standstill = Clock(used)

    def excuse(self, used: Usage) -> None:
        """Begin anew with everything that is being timed."""
        self.boot, self.silence, self.standstill = Clock(used), Clock(used), Clock(used)

    def before_ready(self, settings: SupervisionSettings) -> list[Limit]:
        """The limits of a worker that starts."""
        seconds = settings.boot_timeout_seconds
        return [Limit(self.boot, seconds, f"not ready within {seconds:g} s")]

    def at_work(self, settings: SupervisionSettings, silence_seconds: float) -> list[Limit]:
        """The limits of a worker that runs. It beats as often as the settings asked for when it was started."""
        seconds = settings.stall_timeout_seconds
        silent = Limit(self.silence, silence_seconds, f"silent for {silence_seconds:g} s")
        stalled = Limit(self.standstill, seconds, f"busy ({self.activity}) without progress for {seconds:g} s")
        return [silent, stalled] if self.busy else [silent]
