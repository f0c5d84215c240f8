"""The swap: how a version comes into service, and how the service gets back to the one before.

    1. prepare    the server checks the version, loads it beside the one that serves, warms it up. Service is untouched.
    2. commit     one transaction writes the intention down, then ``models/current`` is replaced by rename: from here on
                  the new version is the one in service, whatever crashes.
    3. flip       the server gives new requests to it; requests in flight finish on the version they began with.
    4. record     one transaction says that it serves.

Where memory does not hold two versions, the server only checks in step 1, and in step 3 lets requests wait while one
version takes the place of the other. Should that fail, the swap is undone.

With the server down, the sums are checked here in place of step 1, and the server loads ``current`` when it comes up
in place of step 3. After a crash `recover` reads the intention: if ``current`` moved, step 4 is made up for; if not,
the old version never stopped serving.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Set

from control.paths import Paths, version_name
from daemon import background, log
from daemon.cycle import CycleState
from daemon.messages import Abandon, Commit, FromWorker, Prepare, Prepared, Ready, Refused, Serving, WorkerName
from daemon.settings.sections import Tables
from daemon.supervisor.learning import rollback_policy
from daemon.supervisor.processes.ports import WorkerLostError, Workers, WorkerUnavailableError
from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.records import Cycle, Swap, Version
from daemon.supervisor.store.store import NoSuchRecordError, Store, StoreUnavailableError
from engine import artifacts
from engine.config.inference import Form
from engine.manifest import verify

_logger = log.get(__name__)


class RefusedError(Exception):
    """The version cannot be served; the one in service is untouched. The message says why."""


class NotNowError(Exception):
    """The server has no room or time for the version at the moment; nothing changed."""


class NotAllowedError(Exception):
    """The version may not be promoted as things are; the message says what to do."""


class IncumbentChangedError(Exception):
    """Another version came into service after the candidate was judged: it must be judged again."""


class Promotion:
    """The one who moves ``current``. One swap at a time; later requests wait, the same request twice is one swap.

    Attributes:
        serving: the version ``current`` points to.
        resident: versions the server holds in memory.
        kept: those of them that nothing needs.
        forms: how the weights of each lie there.
    """

    def __init__(
        self,
        store: Store,
        workers: Workers,
        paths: Paths,
        tables: Callable[[], Tables],
        degradations: Degradations,
    ) -> None:
        self.serving = artifacts.current_version(paths.current)
        self.resident: tuple[int, ...] = ()
        self.kept: tuple[int, ...] = ()
        self.forms: dict[int, Form] = {}
        self._served: int | None = None
        self._store = store
        self._workers = workers
        self._paths = paths
        self._tables = tables
        self._degradations = degradations
        self._one_at_a_time = asyncio.Lock()
        self._server_is_up = asyncio.Event()
        self._recovered = asyncio.Event()
        self._swaps: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._deaths: list[float] = []
        workers.subscribe(self._observe)

    # Requests ----------------------------------------------------------------------------------------------------

    async def promote(self, number: int, *, by: str, force: bool = False) -> Version:
        """Bring a version into service because a person asks for it; returns when it serves.

        Raises:
            NoSuchRecordError: there is no such version.
            PurgedError: its weights are gone.
            NotAllowedError: it was rejected or quarantined, and ``force`` is not given.
            RefusedError: the server will not serve it.
            NotNowError: the server cannot take it now.
            StoreUnavailableError: the disk is full or read-only; nothing changed.
        """
        version = await self._store.whole_version(number)
        if version.state != "available" and not force and number != self.serving:
            raise NotAllowedError(
                f"version {version_name(number)} is {version.state} ({version.note}); use --force to promote it"
            )
        await self._swap_once(Swap(version=number, previous=None, cycle=None, by=by))
        if version.state == "quarantined":
            await self._store.judge_version(number, "available", f"promoted by {by}")
        return await self._store.version(number)

    async def promote_candidate(self, cycle: Cycle) -> None:
        """Bring the version of a cycle that passed its gate into service; the cycle is ``promoted`` when this returns.

        Raises:
            IncumbentChangedError: it was judged against a version that no longer serves.
            RefusedError: the server will not serve it.
            NotNowError: the server cannot take it now; call again.
            StoreUnavailableError: the disk is full or read-only; call again.
        """
        if cycle.version is None:
            raise RefusedError(f"cycle {cycle.id} has no version")
        swap = Swap(version=cycle.version, previous=None, cycle=cycle.id, by=f"cycle {cycle.id}")
        expected = {cycle.incumbent, cycle.version} if cycle.state is CycleState.EVALUATING else None
        await self._swap_once(swap, expected)

    async def rollback(self, *, by: str) -> Version:
        """Go back to the version that served before this one; again, to the one before that.

        Raises:
            NotAllowedError: there is none.
            RefusedError: the server will not serve it.
            NotNowError: the server cannot take it now.
            StoreUnavailableError: the disk is full or read-only; nothing changed.
        """
        previous = await rollback_policy.previous(self._store, self.serving)
        if previous is None:
            raise NotAllowedError("there is no earlier version to go back to")
        await self._swap_once(Swap(version=previous, previous=None, cycle=None, rollback=True, by=by))
        return await self._store.version(previous)

    async def go_back(self, bad: int, to: int, *, by: str) -> None:
        """Leave ``bad`` for one that served before. Raises as `promote`, and `IncumbentChangedError`."""
        await self._swap_once(Swap(version=to, previous=None, cycle=None, rollback=True, by=by), {bad, to})

    async def withdraw(self, *, by: str) -> None:
        """Have no version serve any more; a server that is told so by its restart answers 503 until one does.

        Raises:
            StoreUnavailableError: the disk is full or read-only; nothing changed.
        """
        async with self._one_at_a_time:
            await self._point(None)
        await self._store.note("version.withdrawn", {"by": by})

    def drop(self, version: int) -> None:
        """Have the server keep a version in memory no longer, not as a guest either: its weights are removed."""
        self._abandon(version)

    @contextlib.asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Between swaps: none begins before the block ends."""
        async with self._one_at_a_time:
            yield

    @property
    def swapping(self) -> tuple[int, ...]:
        """Versions that are being promoted, or wait for it."""
        return tuple(self._swaps)

    async def recover(self) -> None:
        """Finish or forget the swap that a crash interrupted. Call once at start; no swap begins before it is done."""
        for draft in self._paths.models.glob(".tmp-current-*"):
            draft.unlink(missing_ok=True)
        swap = await self._store.swap()
        if swap is not None and swap.version == self.serving:
            await retry_until_stored(lambda: self._store.finish_swap(swap), self._degradations)
        elif swap is not None:
            await retry_until_stored(self._store.abandon_swap, self._degradations)
        self._recovered.set()

    async def close(self) -> None:
        """Stop; an interrupted swap is finished or forgotten at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # The swap ----------------------------------------------------------------------------------------------------

    async def _swap_once(self, swap: Swap, expected: Set[int | None] | None = None) -> None:
        """Run the swap in a task of its own, so that a caller who goes away does not interrupt it.

        With ``expected`` it happens only while one of those versions serves.
        """
        task = self._swaps.get(swap.version)
        if task is None or swap.cycle is not None:
            name = f"swap to version {version_name(swap.version)}"
            task = background.begin(self._swap(swap, expected), name, lambda _: None)  # whoever waits is told
            self._swaps[swap.version] = task
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._forget(swap.version, done))
        await asyncio.shield(task)

    async def _swap(self, swap: Swap, expected: Set[int | None] | None) -> None:
        await self._recovered.wait()
        async with self._one_at_a_time:
            if expected is not None and self.serving not in expected:
                raise IncumbentChangedError(f"meanwhile version {self.serving} came into service")
            await self._store.whole_version(swap.version)
            swap = swap.model_copy(update={"previous": self.serving})
            try:
                held = await self._prepare(swap.version)
                await self._commit(swap)
            except BaseException:
                self._abandon(swap.version)
                raise
            if held and (refusal := await self._flip(swap.version)):
                await self._undo(swap, refusal)
                raise RefusedError(refusal.reason) if refusal.unfit else NotNowError(refusal.reason)
            await retry_until_stored(lambda: self._store.finish_swap(swap), self._degradations)
        self._align()

    async def _prepare(self, version: int) -> bool:
        """Step 1. A server that dies of it is given another chance, then the version is refused.

        Returns:
            Whether a server holds the version; without one its sums were checked here.

        Raises:
            RefusedError: it cannot be served; it is quarantined.
            NotNowError: it may be served later.
        """
        prepare = Prepare(version=version)
        for _ in range(rollback_policy.DEATHS):
            try:
                answer: Prepared | Refused = await self._workers.ask("server", prepare, Prepared, Refused)
            except WorkerUnavailableError:
                await self._verify(version)
                return False
            except WorkerLostError as error:
                _logger.warning("the server died while it prepared", version=version, how=str(error))
                await self._wait_for_server()
                continue
            if isinstance(answer, Refused) and not answer.unfit:
                raise NotNowError(answer.reason)
            if isinstance(answer, Refused):
                await self._quarantine(version, answer.reason)
                raise RefusedError(answer.reason)
            return True
        reason = f"the server died {rollback_policy.DEATHS} times while it loaded the version"
        await self._quarantine(version, reason)
        raise RefusedError(reason)

    async def _verify(self, version: int) -> None:
        try:
            await asyncio.to_thread(verify, self._paths.version(version))
        except artifacts.ArtifactError as error:
            await self._quarantine(version, str(error))
            raise RefusedError(str(error)) from error

    async def _commit(self, swap: Swap) -> None:
        """Step 2. The rename is the commit point."""
        await self._store.begin_swap(swap)
        await self._point(swap.version)
        self._deaths.clear()

    async def _point(self, version: int | None) -> None:
        """Move ``current``; to nothing where no version served before."""
        link = self._paths.current
        try:
            if version is None:
                link.unlink(missing_ok=True)
            else:
                await asyncio.to_thread(artifacts.point, link, self._paths.version(version))
        except OSError as error:
            if artifacts.current_version(link) != version:
                raise StoreUnavailableError(f"{link} cannot be moved: {error.strerror}") from error
        self.serving = version

    async def _flip(self, version: int) -> Refused | None:
        """Step 3. A server that is away loads ``current`` when it comes up.

        Returns:
            Why the server cannot: it had to drop one version to load the other, and the other failed.
        """
        try:
            answer: Serving | Refused = await self._workers.ask("server", Commit(version=version), Serving, Refused)
        except (WorkerUnavailableError, WorkerLostError):
            return None
        return answer if isinstance(answer, Refused) else None

    async def _undo(self, swap: Swap, refusal: Refused) -> None:
        """Lead back to what served before a swap that failed after its commit point."""
        if refusal.unfit:
            await self._quarantine(swap.version, refusal.reason)
        await retry_until_stored(lambda: self._point(swap.previous), self._degradations)
        await retry_until_stored(self._store.abandon_swap, self._degradations)
        if swap.previous is not None:
            await self._flip(swap.previous)

    def _abandon(self, version: int) -> None:
        if self.serving == version:
            return
        try:
            self._workers.send("server", Abandon(version=version))
        except WorkerUnavailableError:
            return

    def _forget(self, version: int, done: asyncio.Task[None]) -> None:
        self._tasks.discard(done)
        if self._swaps.get(version) is done:
            del self._swaps[version]

    # The server, as it comes and goes --------------------------------------------------------------------------

    def server_died(self) -> None:
        """To be told whenever the server process ends unexpectedly."""
        self._server_is_up.clear()
        self._served, self.resident, self.kept, self.forms = None, (), (), {}
        self._deaths.append(time.monotonic())
        self._begin(self._consider_going_back())

    def _observe(self, worker: WorkerName, message: FromWorker) -> None:
        if worker == "server" and isinstance(message, Serving):
            self._served, self.resident = message.version, message.resident
            self.kept, self.forms = message.kept, message.forms
            if message.version is not None:
                self._begin(self._prove(message.version))
        elif worker == "server" and isinstance(message, Ready):
            self._server_is_up.set()
            self._align()

    def _align(self) -> None:
        """A server that came up with another version than ``current``, or none, is led to it between swaps."""
        if self._server_is_up.is_set() and self._served != self.serving and not self._one_at_a_time.locked():
            self._begin(self._lead_to_current())

    async def _lead_to_current(self) -> None:
        refusal = None
        async with self._one_at_a_time:
            if (version := self.serving) is None or version == self._served:
                return
            try:
                if not await self._prepare(version):
                    self._server_is_up.clear()  # it went away again, and will report when it is back
                elif refused := await self._flip(version):
                    refusal = refused.reason
            except RefusedError as error:
                refusal = str(error)
        if refusal is not None:
            await self._go_back(version, refusal)

    async def _consider_going_back(self) -> None:
        if (version := self.serving) is None:
            return
        try:
            proven = (await self._store.version(version)).proven
        except NoSuchRecordError:
            proven = False
        if rollback_policy.gives_up(self._deaths, time.monotonic(), proven=proven):
            await self._go_back(version, f"the server died {rollback_policy.DEATHS} times before it could serve it")

    async def _go_back(self, bad: int, reason: str) -> None:
        """Leave a version that cannot be served for the one before it."""
        await self._quarantine(bad, reason)
        previous = await rollback_policy.previous(self._store, bad)
        if previous is None:
            self._degradations.begin(
                "version", f"version {version_name(bad)} cannot be served ({reason}), and there is none before it"
            )
        elif self.serving == bad:
            await self._swap_once(Swap(version=previous, previous=None, cycle=None, rollback=True, by="thord"))

    async def _quarantine(self, version: int, reason: str) -> None:
        with contextlib.suppress(NoSuchRecordError):
            judge = functools.partial(self._store.judge_version, version, "quarantined", reason)
            await retry_until_stored(judge, self._degradations)

    async def _prove(self, version: int) -> None:
        self._deaths.clear()
        self._degradations.end("version")
        await retry_until_stored(lambda: self._store.prove_version(version), self._degradations)

    async def _wait_for_server(self) -> None:
        """Wait until a server that died is up again, or has had its time to be."""
        self._server_is_up.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._tables().supervision.boot_timeout_seconds):
                await self._server_is_up.wait()

    def _begin(self, chore: Coroutine[None, None, None]) -> None:
        task = background.begin(chore, "work on versions", self._not_led)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _not_led(self, error: BaseException) -> None:
        _logger.error("the server could not be led to the version in service", reason=str(error))
