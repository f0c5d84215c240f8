"""Carries out forgettings, one at a time. The store says how far each is; `recover` goes on with one cut short."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable

from pydantic import JsonValue

from control.paths import version_name
from daemon import background, log
from daemon.lineage import made_from
from daemon.messages import (
    ChatsForgotten,
    Command,
    Erase,
    Erased,
    Forget,
    ForgetChats,
    TakenOut,
    Unlearn,
    Unlearned,
    WorkerName,
)
from daemon.supervisor.forgetting import traces, versions
from daemon.supervisor.forgetting.steps import Forgetting, Step
from daemon.supervisor.learning.cycles import NotCancellableError
from daemon.supervisor.learning.learning import Learning
from daemon.supervisor.learning.promotion import NotAllowedError, NotNowError, RefusedError
from daemon.supervisor.processes.ports import A, CommandFailedError, WorkerLostError, Workers, WorkerUnavailableError
from daemon.supervisor.store.degradations import retry_until_stored
from daemon.supervisor.store.records import name_or_null
from daemon.supervisor.store.store import CycleUnderWayError, NoSuchRecordError, PurgedError

_logger = log.get(__name__)

UNDER_WAY = "forgetting"
"""Under this key of ``meta`` stands the forgetting that is under way; empty where none is."""
_SUBJECT = "forgetting"


class ForgetRefusedError(Exception):
    """What is to be forgotten is not known; nothing was changed. The message says what was looked for."""


class Forgetter:
    """Does what `steps` says."""

    def __init__(
        self,
        learning: Learning,
        workers: Workers,
        restart_server: Callable[[], Awaitable[None]],
        *,
        patience: float = 60.0,
    ) -> None:
        """``patience`` are the seconds for which a worker may be away before the service counts as degraded."""
        self._learning = learning
        self._workers = workers
        self._restart_server = restart_server
        self._patience = patience
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[Forgetting] | asyncio.Task[None]] = set()
        self._steps: dict[Step, Callable[[Forgetting], Awaitable[Forgetting]]] = {
            Step.TAKE_OUT: self._take_out,
            Step.END_CYCLE: self._end_cycle,
            Step.ERASE: self._erase,
            Step.CHATS: self._chats,
            Step.RECORDS: self._records,
            Step.BACKUPS: self._backups,
            Step.GO_BACK: self._go_back,
        }

    async def forget(
        self, ids: tuple[str, ...], source: str | None, owner: str | None, *, retrain: bool, by: str
    ) -> Forgetting:
        """Forget samples, and return when nothing of them is left; whoever asks may go away meanwhile.

        Raises:
            ForgetRefusedError: an ID or a file is not known; nothing was changed.
            StoreUnavailableError: the disk is full or read-only; nothing was changed.
        """
        number = time.time_ns() // 1000
        wanted = Forgetting(number=number, ids=ids, source=source, owner=owner, retrain=retrain, by=by)
        task = background.begin(self._begin(wanted), "forgetting", lambda _: None)  # whoever waits is told
        self._keep(task)
        return await asyncio.shield(task)

    def recover(self) -> None:
        """Go on in the background with what a crash or a stop cut short. Call once at start."""
        self._keep(background.begin(self._go_on(), "forgetting"))

    async def close(self) -> None:
        """Stop; what is not done goes on at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _keep(self, task: asyncio.Task[Forgetting] | asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self, wanted: Forgetting) -> Forgetting:
        async with self._one_at_a_time:
            await self._finish_earlier()
            await self._learning.store.set_meta(UNDER_WAY, wanted.model_dump_json())
            return await self._carry_out(wanted)

    async def _go_on(self) -> None:
        async with self._one_at_a_time:
            await self._finish_earlier()

    async def _finish_earlier(self) -> None:
        """Carry out what the store says is under way: only one fits there, and the next takes its place."""
        written = await retry_until_stored(lambda: self._learning.store.meta(UNDER_WAY), self._learning.degradations)
        if not written:
            return
        found = Forgetting.model_validate_json(written)
        _logger.info("a forgetting goes on", step=found.step, asked_by=found.by)
        try:
            await self._carry_out(found)
        except ForgetRefusedError as error:  # nobody waits for it any more
            _logger.warning("a forgetting was refused", reason=str(error), asked_by=found.by)

    async def _carry_out(self, at: Forgetting) -> Forgetting:
        store, degradations = self._learning.store, self._learning.degradations
        while at.step is not Step.DONE:
            try:
                at = (await self._steps[at.step](at)).advanced
            except ForgetRefusedError:
                await retry_until_stored(lambda: store.set_meta(UNDER_WAY, ""), degradations)
                raise
            written = at.model_dump_json()
            await retry_until_stored(lambda: store.set_meta(UNDER_WAY, written), degradations)  # noqa: B023
        degradations.end(_SUBJECT)
        told = summary(at)
        await retry_until_stored(lambda: store.note("data.forgotten", told, (UNDER_WAY, "")), degradations)
        return at

    # The steps ---------------------------------------------------------------------------------------------------

    async def _take_out(self, at: Forgetting) -> Forgetting:
        command = Forget(forgetting=at.number, ids=at.ids, source=at.source, owner=at.owner)
        try:
            found = await self._ask("intake", command, TakenOut)
        except CommandFailedError as error:
            raise ForgetRefusedError(str(error)) from error
        return at.model_copy(
            update=found.model_dump(
                include={"samples", "was_held_out", "cycles", "learned_in", "files_left", "files_unnamed"}
            )
        )

    async def _end_cycle(self, at: Forgetting) -> Forgetting:
        """The cycle under way learns from a snapshot, which is about to be rewritten. Then who learned it is known."""
        cycle = self._learning.cycles.current
        if cycle is not None and (cycle.id in at.cycles or at.retrain):
            try:
                await self._learning.cycles.cancel(cycle.id, at.by)
            except NotCancellableError:  # it is being promoted, or has just ended
                async for _ in self._learning.cycles.follow(cycle.id):
                    pass
        known = await retry_until_stored(self._learning.store.versions, self._learning.degradations)
        learned = versions.learned(known, at.learned_in)
        later = made_from({version.number: version.parent for version in known}, learned)
        return at.model_copy(
            update={
                "versions": tuple(sorted(learned)),
                "made_from_these": tuple(sorted(later)),
                "way_back": versions.way_back(known, self._learning.promotion.serving, learned | later),
            }
        )

    async def _erase(self, at: Forgetting) -> Forgetting:
        found = await self._ask("intake", Erase(source=at.source), Erased)
        unreadable = tuple(f"{file}: it cannot be read" for file in found.files_unreadable)
        return at.model_copy(
            update={
                "files_cut": found.files_cut,
                "files_removed": found.files_removed,
                "files_unnamed": at.files_unnamed + found.files_unnamed,
                "complaints": unreadable,
            }
        )

    async def _chats(self, at: Forgetting) -> Forgetting:
        found = await self._ask("server", ForgetChats(owner=at.owner), ChatsForgotten)
        return at.model_copy(update={"sessions": found.sessions, "answers": found.answers})

    async def _records(self, at: Forgetting) -> Forgetting:
        """Sample answers may repeat what a version learned; of what judged settled cycles it is not known which."""
        paths, current = self._learning.paths, self._learning.cycles.current
        known = await retry_until_stored(self._learning.store.versions, self._learning.degradations)
        concerned = {*at.versions, *at.made_from_these, *versions.learned(known, at.cycles)}
        judged = [version.number for version in known if at.was_held_out or version.number in concerned]
        running = None if current is None else current.id
        complaints = await asyncio.to_thread(traces.remove_of_runs, paths, at.cycles, running)
        complaints += await asyncio.to_thread(traces.remove_answers, paths, judged)
        return at.model_copy(update={"complaints": (*at.complaints, *complaints)})

    async def _backups(self, at: Forgetting) -> Forgetting:
        for pause in self._learning.degradations.pauses():
            try:
                await asyncio.to_thread(traces.renew_backups, self._learning.paths)
                break
            except (OSError, sqlite3.Error) as error:
                self._wait_for(f"the backup of the ledger cannot be renewed: {error}")
                await asyncio.sleep(pause)
        return at

    async def _go_back(self, at: Forgetting) -> Forgetting:
        back, degradations = at.way_back, self._learning.degradations
        if back is None:
            return at
        try:
            await self._serve(back.version, at.by)
        except (NotAllowedError, RefusedError, NotNowError, PurgedError, NoSuchRecordError) as error:
            complaint = f"version {name_or_null(back.version)} cannot serve: {error}"
            return at.model_copy(update={"way_back": None, "complaints": (*at.complaints, complaint)})
        for number in back.left:
            await retry_until_stored(
                lambda: self._learning.store.judge_version(number, "quarantined", "it learned what was forgotten"),  # noqa: B023
                degradations,
            )
        await self._ask("intake", Unlearn(cycles=back.cycles), Unlearned)
        with contextlib.suppress(CycleUnderWayError):  # it learns, and so does the next
            await retry_until_stored(
                lambda: self._learning.cycles.trigger("what is left is learned again"), degradations
            )
        return at

    async def _serve(self, version: int | None, by: str) -> None:
        """Bring a version into service; null: none is to serve."""
        promotion, degradations = self._learning.promotion, self._learning.degradations
        if version is not None:
            await retry_until_stored(lambda: promotion.promote(version, by=by), degradations)
            return
        await retry_until_stored(lambda: promotion.withdraw(by=by), degradations)
        with contextlib.suppress(WorkerLostError):  # it comes up again by itself
            await self._restart_server()

    # What they share ---------------------------------------------------------------------------------------------

    async def _ask(self, worker: WorkerName, command: Command, expected: type[A]) -> A:
        """Ask until there is an answer, for as long as the worker is away or its disk is full.

        Raises:
            CommandFailedError: it will not do it, however often it is asked.
        """
        patient_until = time.monotonic() + self._patience
        for pause in self._learning.degradations.pauses():
            try:
                return await self._workers.ask(worker, command, expected)
            except CommandFailedError as error:
                if not error.retry:
                    raise
                self._wait_for(str(error))
            except (WorkerUnavailableError, WorkerLostError) as error:
                if time.monotonic() >= patient_until:  # after a start it is only on its way
                    self._wait_for(f"the {worker} is away: {error}")
            await asyncio.sleep(pause)
        raise AssertionError  # pauses are without end

    def _wait_for(self, what: str) -> None:
        self._learning.degradations.begin(_SUBJECT, f"samples are not forgotten yet: {what}; trying again")


def summary(done: Forgetting) -> dict[str, JsonValue]:
    """What was forgotten, for clients and events; nothing of what it said."""
    back = done.way_back if done.retrain else None
    return {
        "samples": done.samples,
        "cycles": list(done.cycles),
        "versions": [version_name(number) for number in done.versions],
        "made_from_these": [version_name(number) for number in done.made_from_these],
        "files_cut": list(done.files_cut),
        "files_removed": list(done.files_removed),
        "files_left": list(done.files_left),
        "files_unnamed": done.files_unnamed,
        "sessions": done.sessions,
        "answers": done.answers,
        "failed": list(done.complaints),
        "went_back": back is not None,
        "went_back_to": version_name(back.version) if back and back.version is not None else None,
    }
