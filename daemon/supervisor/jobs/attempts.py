"""Steps of a cycle that were not done: what went wrong, whether another attempt may help, and how soon.

| what happened                          | another attempt         | the conversations may be at fault |
| -------------------------------------- | ----------------------- | --------------------------------- |
| thord was started again                | at once (`RESTART`)     | no                                |
| the worker died, or was away           | soon (`CRASH`)          | yes, but not in collecting        |
| the worker failed and says: try again  | later (`FAILURE`)       | no: a full disk is not theirs     |
| the server has no room or time now     | later (`FAILURE`)       | no                                |
| the worker failed for good             | none                    | yes, but not in collecting        |
| the server will not serve the version  | none                    | yes                               |
"""

import contextlib
import enum
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from daemon.supervisor.processes.ports import CommandFailedError, WorkerLostError, WorkerUnavailableError


class Cause(enum.Enum):
    """What cut a step short."""

    RESTART = "restart"
    CRASH = "crash"
    FAILURE = "failure"
    """One that may pass, as a full disk."""


FIRST_PAUSES: Mapping[Cause, float] = MappingProxyType({Cause.RESTART: 0.0, Cause.CRASH: 0.5, Cause.FAILURE: 5.0})
"""Seconds before another attempt; each further attempt without progress waits twice as long."""
LONGEST_PAUSE = 600.0
"""Seconds; ``supervision.max_attempts`` may be any number, and doubling it would wait for years."""


class CutShortError(Exception):
    """The step was cut short and may be tried again, after the pause that its cause asks for."""

    def __init__(self, why: str, cause: Cause, *, data_at_fault: bool) -> None:
        super().__init__(why)
        self.cause = cause
        self.data_at_fault = data_at_fault


class FailedError(Exception):
    """The step cannot be done, and another attempt would not help."""

    def __init__(self, why: str, *, data_at_fault: bool = True, diverged: bool = False) -> None:
        super().__init__(why)
        self.data_at_fault = data_at_fault
        self.diverged = diverged


@contextlib.contextmanager
def work_of_a_process(*, data_at_fault: bool = True) -> Iterator[None]:
    """What it means for a step that its worker died, was away, or failed.

    Raises:
        CutShortError: the step may be tried again.
        FailedError: it cannot be done.
    """
    try:
        yield
    except (WorkerLostError, WorkerUnavailableError) as error:
        raise CutShortError(str(error), Cause.CRASH, data_at_fault=data_at_fault) from error
    except CommandFailedError as error:
        if error.retry:
            raise CutShortError(str(error), Cause.FAILURE, data_at_fault=False) from error
        raise FailedError(str(error), data_at_fault=data_at_fault, diverged=error.diverged) from error


def pause_seconds(first: float, attempts_without_progress: int) -> float:
    """How long to wait before the next attempt: not at all after one that led somewhere, then doubling up to a limit.

    Args:
        first: seconds to wait after the first attempt without progress.
        attempts_without_progress: how many of the last attempts in a row led nowhere.
    """
    return (
        min(first * 2.0 ** min(attempts_without_progress - 1, 64), LONGEST_PAUSE) if attempts_without_progress else 0.0
    )
