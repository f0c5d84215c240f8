"""When a cycle is due: by the clock, or because enough is new. APScheduler only rings; what is due is computed here."""

import asyncio
import contextlib
import datetime
import logging
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from control.paths import Paths
from daemon import background, log
from daemon.clock import time_of_day, utc_now
from daemon.cycle import CycleState
from daemon.messages import Counts, FromWorker, WorkerName
from daemon.settings import crontab
from daemon.settings.sections import ScheduleSettings, Tables
from daemon.supervisor.learning.cycles import Cycles
from daemon.supervisor.processes.ports import Workers
from daemon.supervisor.store.backup import back_up
from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.records import Cycle, Pause
from daemon.supervisor.store.store import CycleUnderWayError, Store, StoreUnavailableError

_logger = log.get(__name__)

LAST_RUN = "schedule.last"
LAST_BACKUP = "backup.last"
PAUSE = "schedule.pause"
"""Under this key of ``meta`` stands who paused it; nothing where it is not paused."""
NIGHT = "30 3 * * *"
"""When databases are copied, local time."""

BACKUP_AFTER_START = datetime.timedelta(minutes=1)
"""A copy that was missed while thord was down is made up for this long after the start."""


def next_run(settings: ScheduleSettings, last: datetime.datetime, now: datetime.datetime) -> datetime.datetime | None:
    """When the next cycle is due after the last one: ``now`` where that has passed, null where none is planned."""
    if not settings.enabled:
        return None
    if settings.cron:
        due = _next_by_cron(settings.cron, last)
    else:
        due = last + datetime.timedelta(minutes=settings.interval_minutes)
    return None if due is None else max(due, now)


def enough_is_new(new: int, left: int, threshold: int, minimum: int) -> bool:
    """Whether new conversations alone make a cycle due.

    Args:
        new: how many there are.
        left: how many of those came back from an unsuccessful cycle; they wait for the clock, or the same failure
            would repeat without pause.
        threshold: ``schedule.after_new_conversations``; 0 turns it off.
        minimum: ``data.min_conversations``; a cycle with fewer would be skipped.
    """
    return threshold > 0 and new - left >= max(threshold, minimum)


class Schedule:
    """Starts cycles when they are due, and copies the databases at night.

    Args:
        clock_seconds: the time between two looks at the clock: it may have been set, or stood still for the scheduler
            while the machine slept.

    Attributes:
        next_at: when the next scheduled cycle is due; it may have passed while a cycle is under way.
        paused: while it is, no cycle starts by the clock or because enough is new. By hand they do.
        at_night: called before the databases are copied.
    """

    def __init__(
        self,
        store: Store,
        cycles: Cycles,
        workers: Workers,
        paths: Paths,
        tables: Callable[[], Tables],
        degradations: Degradations,
        *,
        clock_seconds: float,
        clock: Callable[[], datetime.datetime] = time_of_day,
    ) -> None:
        self.next_at: datetime.datetime | None = None
        self.paused: Pause | None = None
        self.at_night: Callable[[], None] = lambda: None
        self._store = store
        self._cycles = cycles
        self._paths = paths
        self._tables = tables
        self._degradations = degradations
        self._clock = clock
        self._clock_seconds = clock_seconds
        self._owed = False
        self._left = 0
        self._new = 0
        self._counts_from: datetime.datetime | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._plans: set[asyncio.Task[None]] = set()
        self._scheduler = AsyncIOScheduler(
            timezone=datetime.UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )
        logging.getLogger("apscheduler").setLevel(logging.WARNING)  # it tells of every ring, twice
        workers.subscribe(self._observe)
        cycles.on_end(self._cycle_ended)

    async def start(self) -> None:
        """Begin. A cycle that came due while thord was down is started now, once."""
        self._scheduler.start()
        if written := await self._store.meta(PAUSE):
            self.paused = Pause.model_validate_json(written)
        await self.plan()
        self._plan_backup(await self._last(LAST_BACKUP))
        self._begin(self._watch_clock())

    async def plan(self) -> None:
        """Compute when the next cycle is due, by the settings as they are now."""
        self._counts_from = await self._last(LAST_RUN)
        due = next_run(self._tables().schedule, self._counts_from, self._clock())
        self.next_at = None if self.paused else due
        if self.next_at is None:
            if self._scheduler.get_job("cycle"):
                self._scheduler.remove_job("cycle")
        else:
            self._scheduler.add_job(self._ring, "date", run_date=self.next_at, id="cycle", replace_existing=True)

    async def pause(self, by: str) -> Pause:
        """Start no cycle by itself from now on, also after a restart. The one under way goes on.

        Raises:
            StoreUnavailableError: nothing was written.
        """
        if self.paused is None:
            pause = Pause(since=utc_now(), by=by)
            await self._store.note("schedule.paused", {"by": by}, (PAUSE, pause.model_dump_json()))
            self.paused, self._owed = pause, False
            await self.plan()
        return self.paused

    async def resume(self, by: str) -> None:
        """Start cycles by itself again. One that came due meanwhile starts now, once.

        Raises:
            StoreUnavailableError: nothing was written.
        """
        if self.paused is not None:
            await self._store.note("schedule.resumed", {"by": by}, (PAUSE, ""))
            self.paused = None
        await self.plan()

    async def planned(self) -> datetime.datetime | None:
        """When the next cycle is due, once what follows from the end of the last one is reckoned."""
        await asyncio.gather(*self._plans, return_exceptions=True)
        return self.next_at

    @property
    def waits(self) -> bool:
        """Whether a cycle is due and starts when the one under way has ended."""
        return self._owed and self._cycles.current is not None

    async def close(self) -> None:
        """Start no more cycles and copies, and cancel what waits."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch_clock(self) -> None:
        """What is due by the clock as it is now is done now; a clock that was ahead once holds nothing up."""
        while True:
            await asyncio.sleep(self._clock_seconds)
            if self._counts_from is None or self._clock() >= self._counts_from:
                self._scheduler.wakeup()
                continue
            with contextlib.suppress(StoreUnavailableError):  # the next look will try again
                await self.plan()
                self._plan_backup(await self._last(LAST_BACKUP))

    # Cycles ------------------------------------------------------------------------------------------------------

    async def _ring(self) -> None:
        self._begin(self._run_when_possible())

    async def _run_when_possible(self) -> None:
        """Start the cycle that is due, or owe it until the one under way has ended: however many, it is one."""
        if self.paused is not None:
            return
        self._owed = True
        now = self._clock()
        try:
            await retry_until_stored(
                lambda: self._cycles.trigger("schedule", noting=(LAST_RUN, now.isoformat())), self._degradations
            )
        except CycleUnderWayError:
            return
        self._owed = False
        await self.plan()

    def _cycle_ended(self, cycle: Cycle) -> None:
        if cycle.state is CycleState.CANCELLED:  # a cancelled cycle must not start again at once
            self._left, self._owed = self._new + (cycle.conversations or 0), False
            self._plans = {self._begin(self._count_from_now())}
        elif cycle.state is CycleState.PROMOTED:
            self._left = 0
        elif not cycle.request.files:  # which gives nothing back
            self._left = cycle.conversations or 0
        if self._owed:
            self._begin(self._run_when_possible())

    async def _count_from_now(self) -> None:
        """Have the next cycle be due a whole interval from now."""
        now = self._clock()
        await retry_until_stored(lambda: self._store.set_meta(LAST_RUN, now.isoformat()), self._degradations)
        await self.plan()

    def _observe(self, worker: WorkerName, message: FromWorker) -> None:
        if worker != "intake" or not isinstance(message, Counts):
            return
        self._new = message.new
        if self.paused is not None:
            return
        tables = self._tables()
        threshold, minimum = tables.schedule.after_new_conversations, tables.data.min_conversations
        if self._cycles.current is None and enough_is_new(message.new, self._left, threshold, minimum):
            self._begin(self._run_for_threshold())

    async def _run_for_threshold(self) -> None:
        try:
            await self._cycles.trigger("threshold")
        except CycleUnderWayError:
            return
        except StoreUnavailableError as error:  # the next count, or the clock, will try again
            _logger.warning("no cycle could be started", reason=str(error))

    # Backups -----------------------------------------------------------------------------------------------------

    def _plan_backup(self, last: datetime.datetime) -> None:
        due = _next_by_cron(NIGHT, last)
        if due is not None:
            run_date = max(due, self._clock() + BACKUP_AFTER_START)
            self._scheduler.add_job(
                self._ring_for_backup, "date", run_date=run_date, id="backup", replace_existing=True
            )

    async def _ring_for_backup(self) -> None:
        self._begin(self._back_up())

    async def _back_up(self) -> None:
        now = self._clock()
        self.at_night()
        for database in (self._paths.database, self._paths.ledger):  # not chats.db: what is deleted there must be gone
            await self._back_up_one(database)
        await retry_until_stored(lambda: self._store.set_meta(LAST_BACKUP, now.isoformat()), self._degradations)
        self._plan_backup(now)

    async def _back_up_one(self, database: Path) -> None:
        subject = f"backup of {database.name}"
        try:
            copy = await asyncio.to_thread(back_up, database, self._paths.backups)
        except (OSError, sqlite3.Error) as error:
            self._degradations.begin(subject, f"{database} could not be copied to {self._paths.backups}: {error}")
        else:
            self._degradations.end(subject)
            _logger.info("backed up", database=str(database), copy=str(copy))

    # Helpers -----------------------------------------------------------------------------------------------------

    async def _last(self, key: str) -> datetime.datetime:
        """When it last happened; the first start counts as the first time, and is written down as such.

        So does now where that lies ahead: the clock was wrong then, and has been set since.
        """
        written, now = await self._store.meta(key), self._clock()
        if written is not None and (last := datetime.datetime.fromisoformat(written)) <= now:
            return last
        await retry_until_stored(lambda: self._store.set_meta(key, now.isoformat()), self._degradations)
        return now

    def _begin(self, chore: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = background.begin(chore, "schedule")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _next_by_cron(expression: str, after: datetime.datetime) -> datetime.datetime | None:
    due: datetime.datetime | None = crontab.trigger(expression).get_next_fire_time(
        None, after + datetime.timedelta(microseconds=1)
    )
    return due
