"""All workers: kept alive, given work, watched by one timer for whatever is due next."""

import asyncio
import contextlib
import itertools
import math
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from control.paths import Paths
from daemon import log
from daemon.assignment import Assignment
from daemon.messages import UNASKED, Command, FromWorker, Message, Reload, WorkerName
from daemon.settings.sections import SupervisionSettings, Tables
from daemon.supervisor.fair_share.governor import Governor
from daemon.supervisor.processes import reaper
from daemon.supervisor.processes.answers import accepted
from daemon.supervisor.processes.channel import ChannelServer, Connection
from daemon.supervisor.processes.lifecycle import WorkerState
from daemon.supervisor.processes.output import OutputLog
from daemon.supervisor.processes.ports import A, OnMessage, WorkerLostError, WorkerUnavailableError
from daemon.supervisor.processes.process import WorkerProcess
from daemon.supervisor.processes.roles import ROLES, Role
from daemon.supervisor.processes.worker import Change, Worker, WorkerStatus

_LATE_SECONDS = 1.0
"""A timer this late means that the supervisor itself was stopped, by a debugger or a frozen container."""
_FAREWELL_SECONDS = 10.0
"""Time for a trainer or evaluator to leave after its last message."""
_logger = log.get(__name__)


class WorkerPool:
    """The worker processes and the channel to them.

    Args:
        paths: the places of this thord.
        settings: limits and log settings; `reload` changes them.
        api_sockets: listening sockets of the public API, which the server inherits.
        roles: what there is to run.
    """

    def __init__(
        self,
        paths: Paths,
        settings: Tables,
        api_sockets: tuple[socket.socket, ...] = (),
        roles: Mapping[WorkerName, Role] = ROLES,
    ) -> None:
        self._paths = paths
        self._supervision: SupervisionSettings = settings.supervision
        self._minimum_share = settings.training.minimum_share
        self._api_sockets = api_sockets
        self._workers = {
            name: Worker(role, settings.supervision, self._spawn, self._changed) for name, role in roles.items()
        }
        self._runs = {name: asyncio.Lock() for name in roles}
        self._ids = itertools.count(UNASKED + 1)
        self._channel = ChannelServer(self._on_hello, self._on_message)
        self._governor = Governor(self._runs_under_way, self._pids, lambda: self._minimum_share)
        self._on_messages: list[Callable[[WorkerName, FromWorker], None]] = []
        self._on_changes: list[Callable[[Change], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    # Life -----------------------------------------------------------------------------------------------------------

    async def start(self, channel_socket: socket.socket) -> None:
        """Listen for workers and start the permanent ones; does not wait until they are ready."""
        reaper.adopt_orphans()
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._child_ended)
        await self._channel.start(channel_socket)
        for worker in self._workers.values():
            if worker.role.permanent:
                worker.start()
        self._arm()

    async def stop(self, grace_seconds: float) -> None:
        """Stop all at the same time: ask, wait for ``grace_seconds``, kill. Calling it again shortens the time."""
        for worker in self._workers.values():
            worker.stop(grace_seconds)
        self._arm()
        for worker in self._workers.values():
            await worker.reaches(WorkerState.STOPPED)
        self._channel.close()
        self._governor.end()
        if self._timer:
            self._timer.cancel()
        reaper.end_orphans(())
        reaper.bury_orphans(())

    def reload(self, settings: Tables) -> None:
        """Take new limits, and have every running worker read the settings file."""
        self._supervision = settings.supervision
        self._minimum_share = settings.training.minimum_share
        for worker in self._workers.values():
            worker.settings = settings.supervision
            with contextlib.suppress(WorkerUnavailableError):
                worker.send(Reload())
        self._arm()

    # Single workers -------------------------------------------------------------------------------------------------

    async def start_worker(self, name: WorkerName) -> None:
        """Start one by hand, and wait until it is ready.

        Raises:
            WorkerLostError: it failed to come up.
        """
        self._workers[name].start()
        self._arm()
        await self._comes_up(name)

    async def stop_worker(self, name: WorkerName) -> None:
        """Stop one by hand; it stays down until it is started by hand."""
        self._workers[name].stop(self._supervision.stop_grace_seconds)
        self._arm()
        await self._workers[name].reaches(WorkerState.STOPPED)

    async def restart(self, name: WorkerName) -> None:
        """Stop one and start it again, and wait until it is ready.

        Raises:
            WorkerLostError: it failed to come up.
        """
        self._workers[name].restart(self._supervision.stop_grace_seconds)
        self._arm()
        await self._comes_up(name)

    async def _comes_up(self, name: WorkerName) -> None:
        worker = self._workers[name]
        state = await worker.reaches(
            WorkerState.RUNNING, WorkerState.STOPPED, WorkerState.BACKOFF, WorkerState.FAILED, WorkerState.HUNG
        )
        if state is not WorkerState.RUNNING:
            deaths = worker.status().deaths
            raise WorkerLostError(f"{name} {deaths[-1].reason if deaths else 'was stopped before it was ready'}")

    def statuses(self) -> dict[WorkerName, WorkerStatus]:
        """How each is, now."""
        return {
            name: replace(worker.status(), slowed_to=self.slowed_to(name)) for name, worker in self._workers.items()
        }

    def pid(self, worker: WorkerName) -> int | None:
        """The process of a worker; null where there is none now."""
        return self._workers[worker].pid

    def slowed_to(self, worker: WorkerName) -> float | None:
        """The share of a processor that a run has, where other programs slow it down; None where they do not."""
        return self._governor.slowed_to(worker)

    def permanent_states(self) -> dict[WorkerName, WorkerState]:
        """The states of those that are meant to run all the time."""
        return {name: worker.state for name, worker in self._workers.items() if worker.role.permanent}

    # Messages -------------------------------------------------------------------------------------------------------

    def subscribe(self, callback: Callable[[WorkerName, FromWorker], None]) -> None:
        """Have every message of every worker handed to ``callback``, in the loop."""
        self._on_messages.append(callback)

    def watch(self, callback: Callable[[Change], None]) -> None:
        """Have every change of a worker's state handed to ``callback``, in the loop."""
        self._on_changes.append(callback)

    def send(self, worker: WorkerName, message: Message) -> None:
        """Send one message to a worker.

        Raises:
            WorkerUnavailableError: nobody is there to read it.
        """
        self._workers[worker].send(message)

    async def ask(self, worker: WorkerName, command: Command, *expected: type[A]) -> A:
        """Number a command, send it, and wait for its answer, which is of one of the ``expected`` types.

        Raises:
            WorkerUnavailableError: nobody is there to read it.
            WorkerLostError: the worker went away before it answered.
            CommandFailedError: it could not be done.
        """
        return accepted(await self._workers[worker].ask(self._numbered(command)), expected)

    async def run(self, worker: WorkerName, command: Command, expected: type[A], on_message: OnMessage) -> A:
        """Spawn a worker for one command, wait for its answer, let the worker end.

        Cancelling the wait stops the worker, and returns when it is gone.

        Raises:
            WorkerLostError: the process ended without an answer.
            CommandFailedError: it could not be done.
        """
        runner, command = self._workers[worker], self._numbered(command)
        async with self._runs[worker]:
            await runner.reaches(WorkerState.STOPPED)
            answer = runner.answers.expect(command.id)
            runner.listener = on_message
            runner.start()
            self._arm()
            try:
                await runner.comes_up()
                with contextlib.suppress(WorkerUnavailableError):  # it died just now, as the next line will tell
                    runner.send(command)
                return accepted(await answer, (expected,))
            except asyncio.CancelledError:
                await self._end_run(runner)
                raise
            finally:
                runner.listener = None
                runner.answers.forget(command.id)
                runner.stop(_FAREWELL_SECONDS)
                self._arm()

    def _numbered(self, command: Command) -> Command:
        return command.model_copy(update={"id": next(self._ids)})

    async def _end_run(self, runner: Worker) -> None:
        runner.stop(self._supervision.stop_grace_seconds)
        self._arm()
        try:
            await runner.reaches(WorkerState.STOPPED)
        except asyncio.CancelledError:
            runner.kill()
            raise

    # Processes ------------------------------------------------------------------------------------------------------

    def _spawn(self, worker: Worker) -> WorkerProcess:
        given = Assignment(
            worker=worker.name,
            token=self._channel.expect(worker.name),
            supervisor=os.getpid(),
            config=self._paths.config,
            state=self._paths.state,
            logs=self._paths.logs,
            run=self._paths.run,
            api_descriptors=tuple(s.fileno() for s in self._api_sockets) if worker.name == "server" else (),
        )
        output = OutputLog(worker.name, self._paths.log(worker.name), self._supervision)
        return WorkerProcess(worker.role, given, output, worker.ended, self._governor.level)

    def _on_hello(self, connection: Connection) -> None:
        if connection.worker:
            self._workers[connection.worker].connected(connection)

    def _on_message(self, connection: Connection, message: FromWorker) -> None:
        name = connection.worker
        if name is None:
            return
        self._workers[name].heard(connection, message)
        self._arm()
        for callback in self._on_messages:
            # Not called from here: a fault in it must not cost the worker its connection.
            asyncio.get_running_loop().call_soon(callback, name, message)

    def _changed(self, change: Change) -> None:
        tell = _logger.warning if change.died or change.now in _WORTH_A_WARNING else _logger.info
        tell("worker changed", worker=change.worker, state=str(change.now), pid=change.pid, detail=change.detail)
        if change.now is WorkerState.STARTING and self._workers[change.worker].role.gives_way:
            self._governor.begin()
        for callback in self._on_changes:
            callback(change)
        asyncio.get_running_loop().call_soon(self._arm)

    def _child_ended(self) -> None:
        for worker in self._workers.values():
            worker.reap()
        own = self._pids()
        reaper.bury_orphans(own)
        reaper.end_orphans(own)

    def _pids(self) -> set[int]:
        return {worker.pid for worker in self._workers.values() if worker.pid}

    def _runs_under_way(self) -> dict[WorkerName, int]:
        return {name: worker.pid for name, worker in self._workers.items() if worker.role.gives_way and worker.pid}

    # Time -----------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Have the timer ring for the next deadline. One that moved into the future is left to ring in vain."""
        due = min((worker.deadline for worker in self._workers.values()), default=math.inf)
        if math.isinf(due) or (self._timer and time.monotonic() < self._timer.when() <= due):
            return
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self.look)

    def look(self) -> None:
        """Judge every worker now, and do what is due."""
        now = time.monotonic()
        late = now - self._timer.when() if self._timer else 0.0
        if late > _LATE_SECONDS:
            for worker in self._workers.values():
                worker.excuse(late)
        for worker in self._workers.values():
            worker.look(now)
        self._arm()


_WORTH_A_WARNING = frozenset({WorkerState.HUNG, WorkerState.BACKOFF, WorkerState.FAILED})
