"""The supervisor: puts the parts together, starts them, reacts to signals, and stops everything within a deadline."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Callable, Mapping
from enum import StrEnum

from pydantic import JsonValue

from control.paths import Paths
from daemon import background, log
from daemon.api_keys import Keys, KeysFileError, keys_files, write_key
from daemon.messages import ServiceHealth, WorkerName
from daemon.settings.load import Loaded, SettingsError
from daemon.settings.reload import Changes, changes
from daemon.settings.secrets import masked
from daemon.settings.sections import Tables
from daemon.supervisor import file_threads
from daemon.supervisor.api.app import ControlApi, group_of
from daemon.supervisor.api.operations import ApiContext
from daemon.supervisor.forgetting.forgetter import Forgetter
from daemon.supervisor.integrations.integrations import Integrations
from daemon.supervisor.jobs.of_server import JobsOfServer
from daemon.supervisor.learning.learning import Learning
from daemon.supervisor.learning.promotion import NotAllowedError
from daemon.supervisor.notify import Notifier
from daemon.supervisor.processes.lifecycle import WorkerState
from daemon.supervisor.processes.pool import WorkerPool
from daemon.supervisor.processes.ports import WorkerUnavailableError
from daemon.supervisor.processes.roles import ROLES, Role
from daemon.supervisor.processes.worker import Change
from daemon.supervisor.remote import dispatching
from daemon.supervisor.remote.attempts import RemoteAttempts
from daemon.supervisor.remote.message import SecretError
from daemon.supervisor.service_state import ServiceState, describe, reasons, service_state
from daemon.supervisor.sockets import Sockets
from daemon.supervisor.start_error import StartError
from daemon.supervisor.store.database import StoreDamagedError
from daemon.supervisor.store.degradations import Degradations
from daemon.supervisor.store.store import Store, StoreUnavailableError
from daemon.uploads import data_bank
from engine import disk

_SLACK_SECONDS = 3.0
"""What a stop may take beyond the grace of the workers: to kill them, and to close the store."""
_REPAIR_SECONDS = 5.0
_LETTING_GO_SECONDS = 0.05
_SETTLED = frozenset({WorkerState.RUNNING, WorkerState.FAILED, WorkerState.STOPPED})
"""Nothing is to be expected of a worker in these states."""
_logger = log.get(__name__)


class _LifecycleRequest(StrEnum):
    """What the main loop was asked to do, by a signal or a client."""

    STOP = "stop"
    STOP_NOW = "stop now"
    RELOAD = "reload"


class Supervisor:
    """One thord, from its start to its end.

    Args:
        paths: its places; the folders exist, and the lock is held.
        loaded: the settings it starts with.
        reread: reads the settings anew; raises SettingsError.
        sockets: bound and listening.
        notifier: the line to systemd.
        roles: the workers to run.
    """

    def __init__(
        self,
        paths: Paths,
        loaded: Loaded,
        reread: Callable[[], Loaded],
        sockets: Sockets,
        notifier: Notifier,
        roles: Mapping[WorkerName, Role] = ROLES,
    ) -> None:
        self.paths = paths
        self._loaded = loaded
        self.sockets = sockets
        self.workers = WorkerPool(paths, loaded.tables, sockets.api, roles)
        self.degradations = Degradations(self._tell_status)
        self.started_at = time.monotonic()
        self._reread = reread
        self._notifier = notifier
        self._requests: asyncio.Queue[_LifecycleRequest] = asyncio.Queue()
        self._reloading = asyncio.Lock()
        self._stopping = False
        self._came_up = False
        self._told_ready = False
        self._told = ""
        self._integrations: Integrations | None = None

    # What the control API asks ----------------------------------------------------------------------------------------

    @property
    def tables(self) -> Tables:
        """The settings as they are now."""
        return self._loaded.tables

    def status(self) -> dict[str, JsonValue]:
        """The service and its workers, as clients see them."""
        return {
            "state": self.state,
            "reasons": [*reasons(self.state, self.workers.permanent_states(), self.degradations.reasons())],
            "warnings": [*self._loaded.warnings],
            "home": str(self.paths.state),
            "pid": os.getpid(),
            "uptime_seconds": time.monotonic() - self.started_at,
            "api": {"url": self.sockets.api_url},
            "workers": {name: status.to_json() for name, status in self.workers.statuses().items()},
            **({"integrations": told} if self._integrations and (told := self._integrations.status()) else {}),
        }

    def configuration(self) -> dict[str, JsonValue]:
        """The settings and where each came from. Keys are in files of their own; passwords are masked."""
        return {
            "settings": masked(self.tables.model_dump(mode="json")),
            "origins": dict(self._loaded.origins),
            "profile": self._loaded.profile,
            "why": self._loaded.why,
            "warnings": [*self._loaded.warnings],
        }

    @property
    def state(self) -> ServiceState:
        """How the service is, now."""
        return service_state(
            stopping=self._stopping,
            came_up=self._came_up,
            permanent=self.workers.permanent_states(),
            degradations=self.degradations.reasons(),
        )

    def request_stop(self, *, now: bool = False) -> None:
        """Stop, gracefully or at once; returns before it happens."""
        self._requests.put_nowait(_LifecycleRequest.STOP_NOW if now else _LifecycleRequest.STOP)

    async def start_worker(self, name: WorkerName) -> None:
        """Start a permanent worker and wait until it is ready.

        Raises:
            NotAllowedError: it lives for one run only.
            WorkerLostError: it failed to come up.
        """
        self._check_permanent(name)
        await self.workers.start_worker(name)

    async def stop_worker(self, name: WorkerName) -> None:
        """Stop a permanent worker; it stays down until somebody starts it.

        Raises:
            NotAllowedError: it lives for one run only.
        """
        self._check_permanent(name)
        await self.workers.stop_worker(name)

    async def restart_worker(self, name: WorkerName) -> None:
        """Stop a permanent worker, start it again and wait until it is ready.

        Raises:
            NotAllowedError: it lives for one run only.
            WorkerLostError: it failed to come up.
        """
        self._check_permanent(name)
        await self.workers.restart(name)

    def _check_permanent(self, name: WorkerName) -> None:
        if name not in self.workers.permanent_states():
            raise NotAllowedError(f"the {name} lives for one run; begin and end runs with 'thorctl train' and 'cancel'")

    async def reload(self) -> Changes:
        """Read the settings anew and apply what can change live.

        Raises:
            SettingsError: they are wrong; the old ones stay.
            StoreUnavailableError: they cannot be handed to the workers now; the old ones stay.
        """
        async with self._reloading:
            self._notifier.reloading()
            try:
                loaded = await asyncio.to_thread(self._reread)
                found = changes(self.tables, loaded.tables)
                self._hand_out(loaded)
                self._loaded = loaded
                self.workers.reload(loaded.tables)
            except (SettingsError, StoreUnavailableError) as error:
                _logger.error("the settings are as before", error=str(error))  # noqa: TRY400
                raise
            finally:
                if self._told_ready:  # else it follows when the workers are up
                    self._notifier.ready(self._describe())  # after a failed reload too, or systemd waits for ever
            warnings = await self._check_keys()
            for warning in loaded.warnings:
                _logger.warning(warning)
            _logger.info("settings reloaded", applied=list(found.applied), needs_restart=found.needs_restart)
            return dataclasses.replace(found, warnings=warnings)

    async def _check_keys(self) -> tuple[str, ...]:
        """Read the file of API keys as the server does: while it is wrong, nobody can come in over TCP, so say so."""
        try:
            files = keys_files(self.tables.api.keys_file, os.environ, self.paths.api_key_file)
            await asyncio.to_thread(lambda: Keys(files))
        except KeysFileError as error:
            found = f"{error}; requests over TCP are refused until you correct it and run 'thorctl reload'"
            self.degradations.begin("api keys", found)
            return (found,)
        self.degradations.end("api keys")
        return ()

    # Life -----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Start, work until a stop is asked for, stop.

        Raises:
            StartError: something outside thord prevents the start.
        """
        asyncio.get_running_loop().set_default_executor(file_threads.begin())
        self._listen_to_signals()
        try:
            self._hand_out(self._loaded)
        except StoreUnavailableError as error:
            raise StartError(str(error)) from None
        self._notifier.extend(self.tables.supervision.boot_timeout_seconds + _SLACK_SECONDS)
        learning = await self._open()
        self._integrations = Integrations(
            self.tables.integrations,
            learning.store,
            learning.jobs,
            self.workers,
            self.paths,
            self.degradations,
            queue=self.tables.jobs.queue,
        )
        self._integrations.start()
        try:
            dispatcher = dispatching.begin(
                self.tables.integrations.redis, learning.store, learning.jobs, self.degradations
            )
        except SecretError as error:
            raise StartError(str(error)) from None
        forgetter = Forgetter(learning, self.workers, lambda: self.workers.restart("server"))
        remote = RemoteAttempts(learning.jobs, learning.store, learning.train_jobs, self.paths, lambda: self.tables)
        context = ApiContext(self, learning, forgetter, remote)
        control = ControlApi(context, owner=os.geteuid(), group=group_of(self.paths.control_socket))
        await control.start(self.sockets.control)
        await self._check_keys()
        recovery = background.begin(_recover(learning, forgetter, remote), "recovery", self._not_recovered)
        try:
            # What a crash left is repaired first; a disk that is full meanwhile keeps nobody from serving.
            await asyncio.wait({recovery}, timeout=_REPAIR_SECONDS)
            await self.workers.start(self.sockets.channel)
            self._tick()
            await self._work(learning)
        finally:
            recovery.cancel()
            await self._integrations.close()
            if dispatcher is not None:
                await dispatcher.close()
            await forgetter.close()
            await self._stop(learning)
            await control.stop()

    async def _open(self) -> Learning:
        try:
            learning = await Learning.open(self.paths, lambda: self.tables, self.workers, self.degradations)
        except (StoreDamagedError, StoreUnavailableError) as error:
            raise StartError(str(error)) from None
        self.workers.watch(self._worker_changed)
        self.workers.watch(lambda change: self._bury(change, learning) if change.died else None)
        self.workers.watch(JobsOfServer(learning.jobs, self.workers.send).worker_changed)
        return learning

    def _bury(self, change: Change, learning: Learning) -> None:
        """Tell those whom the death of a worker concerns."""
        if change.worker == "server":
            learning.promotion.server_died()
        background.begin(note_death(change, learning.store), f"note of the death of the {change.worker}")

    def _not_recovered(self, error: BaseException) -> None:
        _logger.error("what the last run left could not be repaired", exc_info=error)
        self.degradations.begin("recovery", f"what the last run left could not be repaired: {error!r}")

    async def _work(self, learning: Learning) -> None:
        while True:
            request = await self._requests.get()
            if request is not _LifecycleRequest.RELOAD:
                if request is _LifecycleRequest.STOP_NOW:
                    self._requests.put_nowait(request)  # for the stop, which it shortens
                return
            with contextlib.suppress(SettingsError, StoreUnavailableError):  # logged, and nobody waits for an answer
                await self.reload()
                await learning.schedule.plan()

    async def _stop(self, learning: Learning) -> None:
        self._stopping = True
        grace = self.tables.supervision.stop_grace_seconds
        self._notifier.stopping(self._describe())
        self._notifier.extend(grace + _SLACK_SECONDS)
        _logger.info("stopping", grace_seconds=grace)
        hurry = asyncio.create_task(self._hurry_on_second_request(), name="wait for a second request to stop")
        closing = asyncio.create_task(learning.close(), name="closing")
        # Cycles let go of their workers first, or they would take a stop for a failure.
        await asyncio.wait({closing}, timeout=_LETTING_GO_SECONDS)
        try:
            async with asyncio.timeout(grace + _SLACK_SECONDS):
                await self.workers.stop(grace)
                await closing
        except TimeoutError:
            _logger.error("something did not stop in time and is left behind")  # noqa: TRY400
        finally:
            hurry.cancel()
        _logger.info("stopped")

    async def _hurry_on_second_request(self) -> None:
        while await self._requests.get() is _LifecycleRequest.RELOAD:
            pass
        _logger.warning("stopping at once")
        await self.workers.stop(0.0)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number, request in (
            (signal.SIGTERM, _LifecycleRequest.STOP),
            (signal.SIGINT, _LifecycleRequest.STOP),
            (signal.SIGHUP, _LifecycleRequest.RELOAD),
        ):
            loop.add_signal_handler(number, self._requests.put_nowait, request)

    # Settings, and what systemd is told -----------------------------------------------------------------------------

    def _hand_out(self, loaded: Loaded) -> None:
        """Write the settings, and the sum of the API key, to files that workers read when they start.

        Raises:
            StoreUnavailableError: they cannot be written.
        """
        file = self.paths.settings_file
        try:
            disk.write_private(file, loaded.tables.model_dump_json())
            file = self.paths.api_key_file
            write_key(file, loaded.secrets.api_key)
            file = self.paths.data_bank_key_file
            data_bank.write_key(file, loaded.secrets.data_bank_key)
        except OSError as error:
            raise StoreUnavailableError(f"{file} cannot be written: {error.strerror}") from error

    def _worker_changed(self, change: Change) -> None:
        permanent = self.workers.permanent_states().values()
        if all(state is WorkerState.RUNNING for state in permanent):
            self._came_up = True
        if not self._told_ready and all(state in _SETTLED for state in permanent):
            self._told_ready = True
            self._notifier.ready(self._describe())
            _logger.info("up", state=str(self.state), seconds=round(time.monotonic() - self.started_at, 3))
        if change.worker == "server" and change.now is WorkerState.RUNNING:
            self._tell_server()
        self._tell_status()

    def _describe(self) -> str:
        return describe(self.state, self.workers.permanent_states(), self.degradations.reasons())

    def _tell_status(self) -> None:
        if (text := self._describe()) != self._told:
            self._told = text
            self._notifier.status(text)
            self._tell_server()

    def _tell_server(self) -> None:
        """What ``/readyz`` and the metrics say of the service."""
        state = self.state
        why = reasons(state, self.workers.permanent_states(), self.degradations.reasons())
        with contextlib.suppress(WorkerUnavailableError):  # it is told when it is up
            self.workers.send("server", ServiceHealth(state=state.value, reasons=tuple(why)))

    def _tick(self) -> None:
        """One round of supervision. Only a complete one tells systemd that thord is alive."""
        interval = self._notifier.watchdog_seconds
        if interval is None:
            return
        self.workers.look()
        self._notifier.alive()
        asyncio.get_running_loop().call_later(interval / 2, self._tick)


async def _recover(learning: Learning, forgetter: Forgetter, remote: RemoteAttempts) -> None:
    await learning.recover()
    forgetter.recover()
    await remote.recover()


async def note_death(change: Change, store: Store) -> None:
    """Append the event of a worker's death. While the store cannot be written only the log has it, which is enough."""
    with contextlib.suppress(StoreUnavailableError):
        await store.note("worker.died", {"worker": change.worker, "reason": change.detail, "now": change.now})
