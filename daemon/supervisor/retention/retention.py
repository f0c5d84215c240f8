"""When things go: after a cycle, at night, when a run would not fit, and when somebody asks for it."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import JsonValue

from control.paths import Paths
from daemon import background, log
from daemon.settings.sections import Tables
from daemon.supervisor.jobs.attempts import FailedError
from daemon.supervisor.retention import disk, of_jobs
from daemon.supervisor.retention.inventory import Known, needed_versions, policy, things
from daemon.supervisor.retention.plan import Plan, Thing, plan
from daemon.supervisor.retention.ports import Use
from daemon.supervisor.retention.room import refusal, trained_parameters, training_of
from daemon.supervisor.store.records import Cycle
from daemon.supervisor.store.store import Store, StoreUnavailableError
from daemon.uploads import record
from engine.room import least_bytes, most_bytes

_logger = log.get(__name__)
_ALL = 1_000_000
"""More jobs than there are."""

_VERSIONS = ("version", "rejected", "artifact")
"""The kinds that are versions."""


@dataclass(frozen=True)
class Cleaned:
    """What was carried out. ``complaints`` are about what could not be removed."""

    plan: Plan
    complaints: tuple[str, ...]


class Retention:
    """Removes what nothing needs; one round at a time, in threads, never while a version is swapped in."""

    def __init__(self, store: Store, use: Use, paths: Paths, tables: Callable[[], Tables]) -> None:
        self._store = store
        self._use = use
        self._paths = paths
        self._tables = tables
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def plan(self, room_bytes: int = 0) -> Plan:
        """What would go now; nothing is changed.

        Raises:
            StoreUnavailableError: what is known cannot be read.
        """
        tables = self._tables()
        known = await self._known()
        found = await asyncio.to_thread(things, self._paths, known, tables, time.time())
        free = await asyncio.to_thread(disk.free_bytes, self._paths)
        rules = policy(tables.retention, keep_epochs=tables.training.keep_epochs, room_bytes=room_bytes)
        return plan(found, rules, time.time(), free)

    async def clean(self, room_bytes: int = 0) -> Cleaned:
        """Remove what nothing needs, so that ``room_bytes`` more than usual are free, as far as that goes.

        Raises:
            StoreUnavailableError: the disk is read-only or full beyond help; what is not removed yet stays.
        """
        async with self._one_at_a_time:
            planned = await self.plan(room_bytes)
            complaints: list[str] = []
            done: list[tuple[Thing, str]] = []
            for thing, rule in planned.removed:
                if await self._may_go(thing, rule):
                    found = await asyncio.to_thread(disk.parts, self._paths, thing.kind, thing.number, thing.name)
                    complaints += await asyncio.to_thread(disk.remove, found)
                    done.append((thing, rule))
            carried_out = Plan(tuple(done), planned.kept)
            if done:
                counts: dict[str, JsonValue] = dict(Counter(thing.kind for thing, _ in done))
                await self._store.note("cleaned", {"bytes": carried_out.bytes, **counts})
            for complaint in complaints:
                _logger.error("could not be removed", what=complaint)
            return Cleaned(carried_out, tuple(complaints))

    def begin(self) -> None:
        """Clean in the background, where the settings want that."""
        if self._tables().retention.enabled and (self._task is None or self._task.done()):
            self._task = background.begin(self._clean_quietly(0), "cleaning")

    async def make_room(self, cycle: Cycle) -> None:
        """Remove what is needed for the run of a cycle to fit.

        Raises:
            FailedError: it would not fit even then.
        """
        if cycle.base_version is None:
            return  # its size is not known yet; the trainer looks as soon as it is
        try:
            parameters = (await self._store.version(cycle.base_version)).parameters
        except (LookupError, StoreUnavailableError):
            return
        tables = self._tables()
        training = training_of(cycle, tables.training)
        folder = self._paths.version(cycle.base_version)
        trained = await asyncio.to_thread(trained_parameters, folder, parameters, training)
        if tables.retention.enabled:
            await self._clean_quietly(most_bytes(trained, training))
        try:
            held = await asyncio.to_thread(lambda: disk.size(disk.parts(self._paths, "run", cycle.id)))
            free = await asyncio.to_thread(disk.free_bytes, self._paths)
        except OSError as error:
            _logger.warning("what is free on the disk cannot be read", reason=str(error))
            return
        if (least := least_bytes(trained, training)) > free + held:
            raise FailedError(refusal(least, free, self._paths.models), data_at_fault=False)

    async def disposition(self, version: int) -> tuple[str, float | None] | None:
        """Why the weights of a version are kept or go, and when they become too old; null where they are gone.

        The time is in seconds since 1970, and null where something needs them or nothing is removed by itself.

        Raises:
            StoreUnavailableError: what is known cannot be read.
        """
        settings = self._tables().retention
        planned = await self.plan()
        for thing, why in (*planned.kept, *planned.removed):
            if thing.number == version and thing.kind in _VERSIONS:
                if not settings.enabled:
                    return "nothing is removed by itself (retention.enabled)", None
                if (thing, why) in planned.removed:
                    return f"only until the next cleaning: {why}", None
                return why, None if thing.needed else thing.since + settings.keep_days * 86_400
        return None

    async def finish(self) -> None:
        """Carry to its end what a crash interrupted. Call once at start."""
        runs = (await self._known()).runs
        versions = [version.number for version in await self._store.versions() if version.is_purged]
        purged = {number: runs.get(number, "") for number in versions}
        for complaint in await asyncio.to_thread(disk.finish, self._paths, purged):
            _logger.error("could not be removed", what=complaint)

    async def close(self) -> None:
        """Stop; what is half removed is finished at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _clean_quietly(self, room_bytes: int) -> None:
        try:
            await self.clean(room_bytes)
        except (OSError, StoreUnavailableError) as error:
            _logger.warning("nothing could be cleaned up; it will be tried again", reason=str(error))

    async def _may_go(self, thing: Thing, rule: str) -> bool:
        """Write down that a version goes, unless something has come to need it since the plan was made."""
        if thing.kind not in _VERSIONS:
            return True
        async with self._use.still():
            if thing.number in needed_versions(await self._versions(), self._tables().retention.keep_rollbacks):
                return False
            await self._store.purge_version(thing.number, rule)
            self._use.removed(thing.number)
        return True

    async def _versions(self) -> Known:
        """What is known of versions alone: enough to say which are needed."""
        return Known(
            versions=[version for version in await self._store.versions() if not version.is_purged],
            published=frozenset(),
            cycles={},
            busy=self._use.busy() | of_jobs.named_versions(await self._store.unfinished_jobs()),
            serving=self._use.serving,
        )

    async def _known(self) -> Known:
        versions = await self._store.versions()
        tables = self._tables()
        jobs = [*await self._store.jobs(_ALL, kind="train"), *await self._store.jobs(_ALL, kind="tokenizer")]
        unfinished, cycle = await self._store.unfinished_jobs(), await self._store.unfinished_cycle()
        asked = [job.request for job in unfinished] + ([cycle.request.model_dump(mode="json")] if cycle else [])
        numbers = await asyncio.to_thread(self._numbers_on_disk)
        cycles = {cycle.id: cycle for cycle in await self._store.ended_cycles(numbers)}
        return Known(
            versions=[version for version in versions if not version.is_purged],
            published=frozenset(version.cycle for version in versions if version.cycle is not None),
            cycles=cycles,
            busy=self._use.busy() | of_jobs.named_versions(unfinished),
            serving=self._use.serving,
            jobs=[job for job in jobs if job.is_final],
            open_jobs=frozenset(job.id for job in unfinished),
            unfinished=json.dumps(asked, ensure_ascii=False),
            uploaded=await asyncio.to_thread(record.uploaded, self._paths, tables.uploads),
        )

    def _numbers_on_disk(self) -> list[int]:
        return sorted({*disk.numbers(self._paths.runs), *disk.numbers(self._paths.snapshots)})
