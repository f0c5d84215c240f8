"""Watches the runs under way: whether other people's programs starve them, and has them weigh more while they do."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from control.scheduler_weight import can_be_raised
from daemon import log
from daemon.messages import WorkerName
from daemon.supervisor.fair_share import ladder, usage, weights
from daemon.supervisor.fair_share.ladder import Look, Standing
from daemon.supervisor.fair_share.usage import Usage

_REMEMBERED_SECONDS = 300.0
"""So long the level of a run is that of the next one."""
_logger = log.get(__name__)


@dataclass
class _Run:
    """One process that gives way, with its children: its place on the ladder, and what it had used at the last look."""

    name: WorkerName
    standing: Standing
    looked_at: float
    used: Mapping[int, Usage]
    share: float = 0.0
    is_slowed: bool = False
    """Other programs had what it waited for, at the last look."""
    weighs: bool = False
    """The kernel was told its weight."""


class Governor:
    """Looks every few seconds, and only while there is a run.

    Args:
        runs: the processes that give way, now.
        processes: the workers' processes, now.
        minimum: `training.minimum_share` as it is now.
        pause_seconds: The time between two looks.
    """

    def __init__(
        self,
        runs: Callable[[], Mapping[WorkerName, int]],
        processes: Callable[[], Iterable[int]],
        minimum: Callable[[], float],
        pause_seconds: float = 5.0,
    ) -> None:
        self._pause_seconds = pause_seconds
        self._find_runs = runs
        self._find_processes = processes
        self._minimum = minimum
        self._runs: dict[int, _Run] = {}
        self._last, self._last_at = Standing(), -_REMEMBERED_SECONDS
        self._looked_at, self._busy, self._own = 0.0, 0.0, dict[int, float]()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def level(self) -> int:
        """Where a run that begins now stands."""
        if not self._minimum():
            return 0
        recent = time.monotonic() - self._last_at < _REMEMBERED_SECONDS
        before = self._last.level if recent else None
        load, cores = os.getloadavg()[0], os.cpu_count() or 1
        return ladder.at_start(before, load, cores, can_be_raised=can_be_raised())

    def begin(self) -> None:
        """A run was started with the weight of `level`: look after it."""
        now = time.monotonic()
        for name, pid in self._find_runs().items():
            if pid not in self._runs:
                self._runs[pid] = _Run(name, Standing(self.level), now, {pid: Usage(now)})
        if self._timer is None:
            self._shares()
            self._wait()

    def end(self) -> None:
        """Stop looking after runs."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def slowed_to(self, name: WorkerName) -> float | None:
        """The share of a processor that a run has, where other programs slow it down."""
        run = self._runs.get(self._find_runs().get(name, 0))
        return run.share if run and run.is_slowed else None

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._pause_seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        alive = set(self._find_runs().values())
        self._runs = {pid: run for pid, run in self._runs.items() if pid in alive}
        if not self._runs:
            return
        others, own = self._shares()
        for pid, run in self._runs.items():
            self._judge(pid, run, others, own)
        self._wait()

    def _shares(self) -> tuple[float, float]:
        """What programs had of the processors since the last time: those that are not thord's, and thord's."""
        now, busy = time.monotonic(), usage.busy_seconds()
        roots = (os.getpid(), *self._find_processes())
        family = {pid for root in roots for pid in (root, *usage.descendants(root))}
        own = {pid: usage.processor_seconds(pid) for pid in family}
        used = sum(max(0.0, total - self._own.get(pid, 0.0)) for pid, total in own.items())
        others, seconds = max(0.0, busy - self._busy - used), max(now - self._looked_at, 0.001)
        self._looked_at, self._busy, self._own = now, busy, own
        return others / seconds, used / seconds

    def _judge(self, pid: int, run: _Run, others: float, own: float) -> None:
        now = time.monotonic()
        used = {one: usage.of_process(one) for one in (pid, *usage.descendants(pid))}
        spans = [usage.between(run.used.get(one, Usage(now)), later) for one, later in used.items()]
        seconds = max(now - run.looked_at, 0.001)
        run.share = sum(span.computed for span in spans) / seconds
        waited = sum(span.waited for span in spans) / seconds
        run.looked_at, run.used = now, used
        before = run.standing
        look = Look(seconds, run.share, waited, others, rest=max(0.0, own - run.share))
        run.standing = self._last = ladder.after(look, before, self._minimum())
        self._last_at = now
        run.is_slowed = run.standing.is_slowed and ladder.is_held_up(look, self._minimum())
        if can_be_raised() and (run.standing.level != before.level or not run.weighs):
            run.weighs = weights.apply(run.standing.weight, pid)
        if (run.standing.level, run.standing.is_slowed) != (before.level, before.is_slowed):
            _say(run, others, raised=run.standing.level > before.level)


def _say(run: _Run, others: float, *, raised: bool) -> None:
    tell = _logger.warning if raised else _logger.info
    tell(
        "slowed by other programs" if run.standing.is_slowed else "no longer slowed by other programs",
        worker=run.name,
        processor_percent=round(100 * run.share),
        others_percent=round(100 * others),
        weight_level=run.standing.level,
        can_be_raised=can_be_raised(),
    )
