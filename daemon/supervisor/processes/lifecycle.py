"""The state machine of a worker, and the policy by which a dead one is started again.

Both are pure: `TRANSITIONS` is the machine, `after_death` the policy. `worker.Worker` carries out what they say.
"""

from dataclasses import dataclass
from enum import StrEnum


class WorkerState(StrEnum):
    """Where a worker is."""

    STOPPED = "stopped"
    """No process, and none is wanted."""
    STARTING = "starting"
    """The process runs and has not said `Ready`."""
    RUNNING = "running"
    STOPPING = "stopping"
    """Asked to finish; stays down."""
    RESTARTING = "restarting"
    """Asked to finish; comes up again."""
    HUNG = "hung"
    """Overdue: SIGABRT was sent, so that its log shows where it stands; SIGKILL follows."""
    BACKOFF = "backoff"
    """Died, and waits to be started again."""
    FAILED = "failed"
    """Died too often; waits for a person."""


class WorkerEvent(StrEnum):
    """What can happen to a worker."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    READY = "ready"
    OVERDUE = "overdue"
    """Not ready in time, silent for too long, or busy without progress."""
    DUE = "due"
    """The pause before the next start is over."""
    GONE = "gone"
    """The process ended, and that is in order."""
    DIED = "died"
    """The process ended; start it again at once."""
    DIED_AGAIN = "died_again"
    """The process ended, not for the first time; start it again after a pause."""
    DIED_TOO_OFTEN = "died_too_often"
    """The process ended, and starting it again would be of no use."""


class Action(StrEnum):
    """What the supervisor does on a transition."""

    SPAWN = "spawn"
    ASK_TO_STOP = "ask_to_stop"
    ABORT = "abort"
    WAIT = "wait"
    FORGET = "forget"
    """Clear the tally of deaths: a person, or a new run, starts it afresh."""


_S, _E, _A = WorkerState, WorkerEvent, Action
_Transition = tuple[WorkerState, tuple[Action, ...]]

TRANSITIONS: dict[tuple[WorkerState, WorkerEvent], _Transition] = {
    (_S.STOPPED, _E.START): (_S.STARTING, (_A.FORGET, _A.SPAWN)),
    (_S.STOPPED, _E.STOP): (_S.STOPPED, ()),
    (_S.STOPPED, _E.RESTART): (_S.STARTING, (_A.FORGET, _A.SPAWN)),
    #
    (_S.STARTING, _E.START): (_S.STARTING, ()),
    (_S.STARTING, _E.STOP): (_S.STOPPING, (_A.ASK_TO_STOP,)),
    (_S.STARTING, _E.RESTART): (_S.RESTARTING, (_A.ASK_TO_STOP,)),
    (_S.STARTING, _E.READY): (_S.RUNNING, ()),
    (_S.STARTING, _E.OVERDUE): (_S.HUNG, (_A.ABORT,)),
    (_S.STARTING, _E.GONE): (_S.STOPPED, ()),
    (_S.STARTING, _E.DIED): (_S.STARTING, (_A.SPAWN,)),
    (_S.STARTING, _E.DIED_AGAIN): (_S.BACKOFF, (_A.WAIT,)),
    (_S.STARTING, _E.DIED_TOO_OFTEN): (_S.FAILED, ()),
    #
    (_S.RUNNING, _E.START): (_S.RUNNING, ()),
    (_S.RUNNING, _E.STOP): (_S.STOPPING, (_A.ASK_TO_STOP,)),
    (_S.RUNNING, _E.RESTART): (_S.RESTARTING, (_A.ASK_TO_STOP,)),
    (_S.RUNNING, _E.READY): (_S.RUNNING, ()),
    (_S.RUNNING, _E.OVERDUE): (_S.HUNG, (_A.ABORT,)),
    (_S.RUNNING, _E.GONE): (_S.STOPPED, ()),
    (_S.RUNNING, _E.DIED): (_S.STARTING, (_A.SPAWN,)),
    (_S.RUNNING, _E.DIED_AGAIN): (_S.BACKOFF, (_A.WAIT,)),
    (_S.RUNNING, _E.DIED_TOO_OFTEN): (_S.FAILED, ()),
    #
    (_S.STOPPING, _E.START): (_S.RESTARTING, ()),
    (_S.STOPPING, _E.STOP): (_S.STOPPING, ()),
    (_S.STOPPING, _E.RESTART): (_S.RESTARTING, ()),
    (_S.STOPPING, _E.READY): (_S.STOPPING, ()),
    (_S.STOPPING, _E.GONE): (_S.STOPPED, ()),
    #
    (_S.RESTARTING, _E.START): (_S.RESTARTING, ()),
    (_S.RESTARTING, _E.STOP): (_S.STOPPING, ()),
    (_S.RESTARTING, _E.RESTART): (_S.RESTARTING, ()),
    (_S.RESTARTING, _E.READY): (_S.RESTARTING, ()),
    (_S.RESTARTING, _E.GONE): (_S.STARTING, (_A.FORGET, _A.SPAWN)),
    #
    (_S.HUNG, _E.START): (_S.HUNG, ()),
    (_S.HUNG, _E.STOP): (_S.STOPPING, ()),
    (_S.HUNG, _E.RESTART): (_S.RESTARTING, ()),
    (_S.HUNG, _E.READY): (_S.HUNG, ()),
    (_S.HUNG, _E.GONE): (_S.STOPPED, ()),
    (_S.HUNG, _E.DIED): (_S.STARTING, (_A.SPAWN,)),
    (_S.HUNG, _E.DIED_AGAIN): (_S.BACKOFF, (_A.WAIT,)),
    (_S.HUNG, _E.DIED_TOO_OFTEN): (_S.FAILED, ()),
    #
    (_S.BACKOFF, _E.START): (_S.STARTING, (_A.FORGET, _A.SPAWN)),
    (_S.BACKOFF, _E.STOP): (_S.STOPPED, ()),
    (_S.BACKOFF, _E.RESTART): (_S.STARTING, (_A.FORGET, _A.SPAWN)),
    (_S.BACKOFF, _E.DUE): (_S.STARTING, (_A.SPAWN,)),
    #
    (_S.FAILED, _E.START): (_S.STARTING, (_A.FORGET, _A.SPAWN)),
    (_S.FAILED, _E.STOP): (_S.STOPPED, ()),
    (_S.FAILED, _E.RESTART): (_S.STARTING, (_A.FORGET, _A.SPAWN)),
}

ALIVE = frozenset({_S.STARTING, _S.RUNNING, _S.STOPPING, _S.RESTARTING, _S.HUNG})
"""States with a process."""

ASKED_TO_END = frozenset({_S.STOPPING, _S.RESTARTING})
"""States in which the end of the process is what was wanted, however it comes."""


class WorkerTransitionError(ValueError):
    """An event that the table does not know in that state."""


def transition(state: WorkerState, event: WorkerEvent) -> _Transition:
    """The state after ``event``, and what is to be done.

    Raises:
        WorkerTransitionError: the table has no such line.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise WorkerTransitionError(f"a worker that is {state} cannot take '{event}'") from None


@dataclass(frozen=True)
class RestartPolicy:
    """When to start a dead worker again, after Erlang/OTP: more than ``max_restarts`` in ``max_seconds`` is failure."""

    max_restarts: int
    max_seconds: float
    backoff_cap_seconds: float
    first_pause_seconds: float = 0.5


@dataclass(frozen=True)
class Tally:
    """What is remembered of deaths since the last start by hand.

    Attributes:
        deaths: monotonic times, those within ``max_seconds``.
        in_a_row: deaths without a long life between them.
    """

    deaths: tuple[float, ...] = ()
    in_a_row: int = 0


def after_death(tally: Tally, policy: RestartPolicy, now: float, ready_seconds: float) -> tuple[WorkerEvent, Tally]:
    """Judge one more death.

    Args:
        tally: the deaths before.
        policy: the limits.
        now: monotonic time.
        ready_seconds: how long the worker had been ready. A life longer than the cap of the back-off forgives what
            was before; one that is merely longer than its start does not, or it would crash-loop for ever.

    Returns:
        What to tell the state machine, and the new tally.
    """
    recent = tuple(death for death in tally.deaths if now - death < policy.max_seconds)
    in_a_row = 1 if ready_seconds > policy.backoff_cap_seconds else tally.in_a_row + 1
    tally = Tally((*recent, now), in_a_row)
    if len(tally.deaths) > policy.max_restarts:
        return _E.DIED_TOO_OFTEN, tally
    return (_E.DIED if in_a_row == 1 else _E.DIED_AGAIN), tally


def pause_seconds(tally: Tally, policy: RestartPolicy, jitter: float) -> float:
    """How long to wait before the next start: doubling up to the cap, shortened by up to a quarter.

    Args:
        tally: after `after_death`; at least two deaths in a row.
        policy: first pause and cap.
        jitter: random in [0, 1), so that workers that died together do not start together.
    """
    doublings = min(max(tally.in_a_row - 2, 0), 64)
    pause = min(policy.first_pause_seconds * 2.0**doublings, policy.backoff_cap_seconds)
    return pause * (1 - jitter / 4)
