"""The state machine of a cycle: a pure function, its table in view. The row in the store is the only truth."""

from enum import StrEnum


class CycleState(StrEnum):
    """Where a cycle is."""

    QUEUED = "queued"
    COLLECTING = "collecting"
    TRAINING = "training"
    EVALUATING = "evaluating"
    PROMOTING = "promoting"
    PROMOTED = "promoted"
    SKIPPED = "skipped"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CycleEvent(StrEnum):
    """What can happen to a cycle."""

    START = "start"
    COLLECTED = "collected"
    TOO_LITTLE = "too_little"
    TRAINED = "trained"
    PASSED = "passed"
    REFUSED = "refused"
    COMMITTED = "committed"
    ERROR = "error"
    CANCEL = "cancel"


_S, _E = CycleState, CycleEvent

TABLE: dict[tuple[CycleState, CycleEvent], CycleState] = {
    (_S.QUEUED, _E.START): _S.COLLECTING,
    (_S.QUEUED, _E.CANCEL): _S.CANCELLED,
    (_S.COLLECTING, _E.COLLECTED): _S.TRAINING,
    (_S.COLLECTING, _E.TOO_LITTLE): _S.SKIPPED,
    (_S.COLLECTING, _E.ERROR): _S.FAILED,
    (_S.COLLECTING, _E.CANCEL): _S.CANCELLED,
    (_S.TRAINING, _E.TRAINED): _S.EVALUATING,
    (_S.TRAINING, _E.ERROR): _S.FAILED,
    (_S.TRAINING, _E.CANCEL): _S.CANCELLED,
    (_S.EVALUATING, _E.PASSED): _S.PROMOTING,
    (_S.EVALUATING, _E.REFUSED): _S.REJECTED,
    (_S.EVALUATING, _E.ERROR): _S.FAILED,
    (_S.EVALUATING, _E.CANCEL): _S.CANCELLED,
    (_S.PROMOTING, _E.COMMITTED): _S.PROMOTED,
    (_S.PROMOTING, _E.ERROR): _S.FAILED,
}

FINAL = frozenset({_S.PROMOTED, _S.SKIPPED, _S.REJECTED, _S.FAILED, _S.CANCELLED})
"""States that nothing leaves."""


class CycleTransitionError(ValueError):
    """An event that the table does not know in that state."""


def next_state(state: CycleState, event: CycleEvent) -> CycleState:
    """The state after ``event``.

    Raises:
        CycleTransitionError: the table has no such line.
    """
    try:
        return TABLE[state, event]
    except KeyError:
        raise CycleTransitionError(f"a cycle that is {state} cannot take '{event}'") from None
