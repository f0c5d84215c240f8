"""What a driver needs to know of a kind of job: where its jobs are kept, and how one step of a job is done.

The store's table of cycles is the first such queue (`learning.cycle_queue`), `learning.cycle_steps` its steps.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar


class Job(Protocol):
    """One unit of work. Its row in the queue is its only truth."""

    @property
    def id(self) -> int:
        """Its number, which no other job of its kind has."""
        ...

    @property
    def state(self) -> str:
        """The state it is in, which says which step is due."""
        ...

    @property
    def attempts_without_progress(self) -> int:
        """How many of the last attempts in a row got no further than those before."""
        ...

    @property
    def has_begun(self) -> bool:
        """Whether some attempt at it has begun."""
        ...

    @property
    def is_final(self) -> bool:
        """Whether it has ended, so that nothing will happen to it any more."""
        ...


J = TypeVar("J", bound=Job)
_Request = TypeVar("_Request", contravariant=True)


@dataclass(frozen=True)
class Ending:
    """How a job ends that does not come to an end of its own steps.

    Attributes:
        outcome: why, in a sentence for people.
        cancelled: somebody asked for that; else it failed.
        data_at_fault: it failed in a way its data may have caused.
        diverged: a run did not learn but lost what it knew.
    """

    outcome: str | None
    cancelled: bool = False
    data_at_fault: bool = False
    diverged: bool = False


class JobQueue(Protocol[J, _Request]):
    """Where jobs of one kind are kept. What a method has written is safe against a power cut once it returns."""

    async def put(self, reason: str, request: _Request, *, noting: tuple[str, str] | None = None) -> J:
        """Queue a job, and keep a single value in the same transaction.

        Raises:
            StoreUnavailableError: nothing was written.
        """
        ...

    async def claim(self) -> J | None:
        """The job to work on next: one that was begun before all others; null where there is none."""
        ...

    async def refresh(self, job: J) -> J:
        """Read the job as it is stored now."""
        ...

    async def retry(self, job: J, why: str) -> J:
        """Begin another attempt at a job whose last one was cut short."""
        ...

    async def beat(self, job: J, progress: int) -> None:
        """Note that this attempt got further than those before."""
        ...

    async def finish(self, job: J, ending: Ending) -> J:
        """End a job that failed or was cancelled. Others are ended by their last step, together with its results."""
        ...

    def cancel_requested(self, job: J) -> str | None:
        """Who wants the job to end, as a sentence for people; null: nobody."""
        ...


class JobSteps(Protocol[J]):
    """What is to be done for jobs of one kind.

    Attributes:
        kind: what such a job is called in logs and messages, in the singular.
    """

    kind: str

    async def step(self, job: J) -> J:
        """Do what the state of the job asks for; the job in its next state.

        Raises:
            CutShortError: it may be tried again.
            FailedError: it cannot be done.
        """
        ...

    def may_cancel(self, job: J) -> bool:
        """Whether the job can still be cancelled in the state it is in."""
        ...
