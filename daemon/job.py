"""The state machine of a job: a pure function, its table in view. The row in the store is the only truth.

A job is one unit of work that somebody asked for: over HTTP, or with thorctl. Cycles have a table of their own
(`daemon.cycle`).
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Literal


class JobKind(StrEnum):
    """What a job does."""

    TRAIN = "train"
    EVALUATE = "evaluate"
    TOKENIZER = "tokenizer"
    IMPORT = "import"
    GENERATE = "generate"
    SCORE = "score"
    CHAT = "chat"


ANSWERS = frozenset({JobKind.GENERATE, JobKind.SCORE, JobKind.CHAT})
"""Kinds that the server computes."""
REMOTE = frozenset({JobKind.TRAIN})
"""Kinds that other hosts can do."""
ANSWERS = frozenset({JobKind.GENERATE, JobKind.SCORE, JobKind.CHAT})
"""Kinds that take seconds, and that somebody waits for."""


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    """Somebody asked it to end, and it has not ended yet."""
    WAITING_RETRY = "waiting_retry"
    """Its last attempt failed, and it is queued again at ``retry_at``."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobEvent(StrEnum):
    """What can happen to a job."""

    START = "start"
    COMPLETE = "complete"
    FAIL = "fail"
    """An attempt failed, and none is left."""
    RETRY = "retry"
    """An attempt failed, and another one follows after a while."""
    DUE = "due"
    """The time of another attempt has come."""
    PUT_BACK = "put_back"
    """An attempt was cut short by no fault of its own: thord was restarted, or others went first."""
    CANCEL = "cancel"
    """Somebody asks it to end."""
    STOP = "stop"
    """Its work has ended because somebody asked for that."""


_S, _E = JobState, JobEvent

TABLE: dict[tuple[JobState, JobEvent], JobState] = {
    (_S.QUEUED, _E.START): _S.RUNNING,
    (_S.QUEUED, _E.CANCEL): _S.CANCELLED,
    (_S.RUNNING, _E.COMPLETE): _S.COMPLETED,
    (_S.RUNNING, _E.FAIL): _S.FAILED,
    (_S.RUNNING, _E.RETRY): _S.WAITING_RETRY,
    (_S.RUNNING, _E.PUT_BACK): _S.QUEUED,
    (_S.RUNNING, _E.CANCEL): _S.CANCELLING,
    (_S.RUNNING, _E.STOP): _S.CANCELLED,
    (_S.WAITING_RETRY, _E.DUE): _S.QUEUED,
    (_S.WAITING_RETRY, _E.CANCEL): _S.CANCELLED,
    (_S.CANCELLING, _E.CANCEL): _S.CANCELLING,
    (_S.CANCELLING, _E.COMPLETE): _S.COMPLETED,  # it was done before it heard of it
    (_S.CANCELLING, _E.STOP): _S.CANCELLED,
    (_S.CANCELLING, _E.FAIL): _S.CANCELLED,  # however its work ended, that is what was asked for
    (_S.CANCELLING, _E.RETRY): _S.CANCELLED,
    (_S.CANCELLING, _E.PUT_BACK): _S.CANCELLED,
}

FINAL = frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELLED})
"""States that nothing leaves."""

DocumentedState = Literal["queued", "running", "completed", "failed"]
"""The states that Model Trainer documents, which other programs know."""

DOCUMENTED: Mapping[JobState, DocumentedState] = MappingProxyType(
    {
        _S.QUEUED: "queued",
        _S.WAITING_RETRY: "queued",
        _S.RUNNING: "running",
        _S.CANCELLING: "running",
        _S.COMPLETED: "completed",
        _S.FAILED: "failed",
        _S.CANCELLED: "failed",
    }
)

UNDER_WAY = frozenset({_S.RUNNING, _S.CANCELLING})
"""States in which an attempt is open."""


class JobTransitionError(ValueError):
    """An event that the table does not know in that state."""


def next_state(state: JobState, event: JobEvent) -> JobState:
    """The state after ``event``.

    Raises:
        JobTransitionError: the table has no such line.
    """
    try:
        return TABLE[state, event]
    except KeyError:
        raise JobTransitionError(f"a job that is {state} cannot take '{event}'") from None
