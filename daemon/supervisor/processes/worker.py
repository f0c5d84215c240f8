"""One worker: carries out what its state machine says, and judges whether it is alive, ready and getting on."""

import asyncio
import math
import random
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import JsonValue

from daemon import log
from daemon.clock import utc_now
from daemon.messages import Answer, Beat, Command, FromWorker, Message, Ready, Stop, WorkerName
from daemon.settings.sections import SupervisionSettings
from daemon.supervisor.fair_share.usage import Usage
from daemon.supervisor.processes.answers import AwaitedAnswers
from daemon.supervisor.processes.channel import Connection
from daemon.supervisor.processes.heartbeat import Clock, Heartbeat, Limit
from daemon.supervisor.processes.lifecycle import (
    ALIVE,
    ASKED_TO_END,
    Action,
    RestartPolicy,
    Tally,
    WorkerEvent,
    WorkerState,
    after_death,
    pause_seconds,
    transition,
)
from daemon.supervisor.processes.ports import WorkerLostError, WorkerUnavailableError
from daemon.supervisor.processes.process import Exit, WorkerProcess
from daemon.supervisor.processes.roles import Role

_ABORT_SECONDS = 2.0
"""From SIGABRT, which leaves every thread's stack in the log, to SIGKILL."""
_DEATHS_SHOWN = 10
_logger = log.get(__name__)


@dataclass(frozen=True)
class Death:
    """One unwanted end of a worker."""

    at: str
    reason: str


@dataclass(frozen=True)
class WorkerStatus:
    """A worker as ``status`` shows it.

    Attributes:
        restarts: since it was last started by hand.
        uptime_seconds: of the process that runs now.
        activity: what it is doing, in its own words.
        deaths: the newest last, since it was last started by hand.
        slowed_to: the share of a processor that it has, where other programs slow it down.
    """

    state: WorkerState
    pid: int | None
    restarts: int
    uptime_seconds: float | None
    activity: str
    deaths: tuple[Death, ...]
    slowed_to: float | None = None

    def to_json(self) -> dict[str, JsonValue]:
        """The worker as clients see it."""
        return {
            "state": self.state,
            "pid": self.pid,
            "restarts": self.restarts,
            "uptime_seconds": self.uptime_seconds,
            "activity": self.activity,
            "deaths": [{"at": death.at, "reason": death.reason} for death in self.deaths],
            "slowed_to": self.slowed_to,
        }


@dataclass(frozen=True)
class Change:
    """A worker went from one state to another.

    Attributes:
        worker: which one.
        before: its state before.
        now: its state since.
        pid: its process, if there is one now.
        detail: what happened, in words.
        died: its process ended, and nobody had asked for that.
    """

    worker: WorkerName
    before: WorkerState
    now: WorkerState
    pid: int | None
    detail: str
    died: bool


class Worker:
    """One of the workers of `roles`.

    Args:
        role: which one.
        settings: time limits and the policy of restarts.
        spawn: starts its process; raises OSError.
        changed: called after each change of state.
    """

    def __init__(
        self,
        role: Role,
        settings: SupervisionSettings,
        spawn: "Callable[[Worker], WorkerProcess]",
        changed: Callable[[Change], None],
    ) -> None:
        self.role = role
        self.name: WorkerName = role.name
        self.settings = settings
        self.state = WorkerState.STOPPED
        self._spawn = spawn
        self._changed = changed
        self._turn = asyncio.Event()
        self._process: WorkerProcess | None = None
        self._connection: Connection | None = None
        self._heartbeat = Heartbeat()
        self._silence_seconds = math.inf
        self._due_at = math.inf
        self._grace_seconds = 0.0
        self._overdue_reason = ""
        self._tally = Tally()
        self._restarts = 0
        self._deaths: deque[Death] = deque(maxlen=_DEATHS_SHOWN)
        self.answers = AwaitedAnswers()
        self._ready: asyncio.Future[None] | None = None
        self.listener: Callable[[FromWorker], None] | None = None
        """Is called, in the loop, with every message."""

    # What others ask ------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        """The number of its process, or null while there is none."""
        return self._process.pid if self._process else None

    def status(self) -> WorkerStatus:
        """Describe how it is now."""
        return WorkerStatus(
            state=self.state,
            pid=self.pid,
            restarts=self._restarts,
            uptime_seconds=time.monotonic() - self._process.started_at if self._process else None,
            activity=self._heartbeat.activity,
            deaths=tuple(self._deaths),
        )

    def start(self) -> None:
        """Start it, by hand: earlier deaths are forgotten."""
        self._happened(WorkerEvent.START, "started")

    def stop(self, grace_seconds: float) -> None:
        """Ask it to finish within ``grace_seconds``; kill it then. Asking again may shorten the time."""
        self._grace_seconds = grace_seconds
        self._happened(WorkerEvent.STOP, "asked to stop")
        if self.state is WorkerState.STOPPING:
            self._due_at = min(self._due_at, time.monotonic() + grace_seconds)

    def restart(self, grace_seconds: float) -> None:
        """Ask it to finish, and start it again."""
        self._grace_seconds = grace_seconds
        self._happened(WorkerEvent.RESTART, "asked to restart")

    def send(self, message: Message) -> None:
        """Send one message to the process.

        Raises:
            WorkerUnavailableError: it is not ready to read any.
        """
        if self.state is not WorkerState.RUNNING or not (self._connection and self._connection.send(message)):
            raise WorkerUnavailableError(f"{self.name} is {self.state}")

    async def ask(self, command: Command) -> Answer:
        """Send one command and wait for its answer.

        Raises:
            WorkerUnavailableError: it is not ready to read any.
            WorkerLostError: its process ended first.
        """
        answer = self.answers.expect(command.id)
        try:
            self.send(command)
            return await answer
        finally:
            self.answers.forget(command.id)

    async def comes_up(self) -> None:
        """Wait until the process that is being started is ready. For one waiter at a time.

        Raises:
            WorkerLostError: its process ended first.
        """
        self._ready = asyncio.get_running_loop().create_future()
        try:
            await self._ready
        finally:
            self._ready = None

    async def reaches(self, *states: WorkerState) -> WorkerState:
        """Wait until it is in one of ``states``."""
        while self.state not in states:
            await self._turn.wait()
        return self.state

    def kill(self) -> None:
        """Kill the process at once, if there is one."""
        if self._process:
            self._process.kill()

    def reap(self) -> None:
        """Look whether its process has ended."""
        if self._process:
            self._process.reap()

    # What its connection tells --------------------------------------------------------------------------------------

    def connected(self, connection: Connection) -> None:
        """Take the connection of its process, which said hello."""
        self._connection = connection
        if self.state in ASKED_TO_END:  # the question came before there was a channel to ask through
            self._connection.send(Stop(grace_seconds=max(self._due_at - time.monotonic(), 0.0)))

    def heard(self, connection: Connection, message: FromWorker) -> None:
        """It sent a message. What comes from the connection of an earlier process is of no interest any more."""
        if connection is not self._connection:
            return
        self._heartbeat.heard(time.monotonic())
        if isinstance(message, Beat):
            self._heartbeat.beaten(message, self._usage())
        elif isinstance(message, Ready):
            self._heartbeat.ready(self._usage())
            self._happened(WorkerEvent.READY, "ready")
            if self._ready and not self._ready.done():
                self._ready.set_result(None)
        if self.listener:
            # Not called from here: a fault in it must not cost the worker its connection.
            asyncio.get_running_loop().call_soon(self.listener, message)
        self.answers.heard(message)

    # Time -----------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """The monotonic time at which `look` has something to do, if nothing is heard until then."""
        limits = self._limits()
        return min(limit.clock.due(limit.seconds) for limit in limits) if limits else self._due_at

    def look(self, now: float) -> None:
        """Do what is due at ``now``, in monotonic seconds."""
        if now < self.deadline:
            return
        if self.state is WorkerState.BACKOFF:
            self._happened(WorkerEvent.DUE, "started again")
        elif limits := self._limits():
            for limit in limits:
                if limit.clock.due(limit.seconds) <= now and (
                    why := limit.clock.why_over(limit.seconds, self._usage())
                ):
                    self._overdue_reason = f"{limit.broken}; {why}"
                    self._happened(WorkerEvent.OVERDUE, self._overdue_reason)
                    return
        else:
            self._due_at = math.inf
            self.kill()

    def excuse(self, seconds: float) -> None:
        """The supervisor did not run for so long, and perhaps nobody did: whoever was being timed gets fresh time."""
        self._due_at += seconds
        self._heartbeat.excuse(self._usage())

    def _limits(self) -> list[Limit]:
        if self.state is WorkerState.STARTING:
            return self._heartbeat.before_ready(self.settings)
        if self.state is WorkerState.RUNNING:
            return self._heartbeat.at_work(self.settings, self._silence_seconds)
        return []

    def _usage(self) -> Usage:
        return self._process.usage() if self._process else Usage(time.monotonic())

    # The state machine ----------------------------------------------------------------------------------------------

    def _happened(self, event: WorkerEvent, detail: str, *, died: bool = False) -> None:
        before = self.state
        self.state, actions = transition(before, event)
        if self.state not in ALIVE:
            self._due_at = math.inf
        for action in actions:
            self._carry_out[action](self)
        if self.state is not before or actions:
            self._changed(Change(self.name, before, self.state, self.pid, detail, died))
            turn, self._turn = self._turn, asyncio.Event()
            turn.set()

    def _start_process(self) -> None:
        self._due_at = math.inf
        self._heartbeat.boot = Clock(Usage(time.monotonic()))
        # The process beats as often as the settings of now ask for, also once they have changed.
        self._silence_seconds = self.settings.heartbeat_timeout_seconds
        try:
            self._process = self._spawn(self)
        except OSError as error:
            asyncio.get_running_loop().call_soon(self._ended_as, f"could not be started: {error}")

    def _ask_to_stop(self) -> None:
        self._due_at = time.monotonic() + self._grace_seconds
        if self._grace_seconds <= 0:
            self.kill()
        elif self._connection is None or math.isinf(self._heartbeat.ready_at):
            # While it starts nothing is under way that would be lost, and nobody reads the channel yet.
            if self._process:
                self._process.signal(signal.SIGTERM)
        else:
            self._connection.send(Stop(grace_seconds=self._grace_seconds * 0.9))

    def _abort(self) -> None:
        self._due_at = time.monotonic() + _ABORT_SECONDS
        if self._process:
            self._process.signal(signal.SIGABRT)

    def _wait(self) -> None:
        self._due_at = time.monotonic() + pause_seconds(self._tally, self._policy, random.random())

    def _forget(self) -> None:
        self._tally = Tally()
        self._restarts = 0
        self._deaths.clear()

    _carry_out = {  # noqa: RUF012 (a constant table)
        Action.SPAWN: _start_process,
        Action.ASK_TO_STOP: _ask_to_stop,
        Action.ABORT: _abort,
        Action.WAIT: _wait,
        Action.FORGET: _forget,
    }

    @property
    def _policy(self) -> RestartPolicy:
        limits = self.settings
        return RestartPolicy(limits.max_restarts, limits.max_seconds, limits.backoff_cap_seconds)

    def ended(self, how: Exit) -> None:
        """Its process is gone, with all of its group."""
        self._ended_as(str(how), how.cause, orderly=how.status == 0 and not self.role.permanent)

    def _ended_as(self, reason: str, cause: str = "lost", *, orderly: bool = False) -> None:
        died = not orderly and self.state not in ASKED_TO_END
        now = time.monotonic()
        ready_seconds = now - self._heartbeat.ready_at
        overdue, self._overdue_reason = self._overdue_reason, ""
        if overdue:
            reason = f"{reason} ({overdue})"
        self._process = None
        self._heartbeat = Heartbeat()
        if self._connection:
            self._connection.close()
            self._connection = None
        event = WorkerEvent.GONE
        if died:
            self._deaths.append(Death(utc_now(), reason))
        if died and self.role.permanent:
            event, self._tally = after_death(self._tally, self._policy, now, ready_seconds)
            self._restarts += event is not WorkerEvent.DIED_TOO_OFTEN
        lost = WorkerLostError(f"{self.name} {reason}", cause)
        self.answers.lost(lost)
        if self._ready and not self._ready.done():
            self._ready.set_exception(lost)
        self._happened(event, reason, died=died)
