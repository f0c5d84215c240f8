"""Who follows a cycle, and what they are told: its state, its phase or step of the moment, and what slows it down."""

from collections.abc import Callable

from pydantic import JsonValue

from daemon.cycle import CycleState
from daemon.messages import PhaseProgress, TrainProgress
from daemon.supervisor.followers import Followers
from daemon.supervisor.store.records import Cycle

Line = dict[str, JsonValue]


class CycleWatch:
    """Hands lines about the cycle under way to whoever follows it.

    Args:
        slowed_to: the share of a processor that the run of the moment has, where other programs slow it down.

    Attributes:
        followers: who follows, by the number of the cycle.
    """

    def __init__(self, slowed_to: Callable[[], float | None]) -> None:
        self._slowed_to = slowed_to
        self._told: float | None = None
        self._cycle: Cycle | None = None
        self._training: TrainProgress | None = None
        self._phase: PhaseProgress | None = None
        self.followers: Followers[Line] = Followers()

    def describe(self, cycle: Cycle) -> Line:
        """One line that says where the cycle is now."""
        line: Line = {"cycle": cycle.id, "state": cycle.state.value, "attempt": cycle.attempt}
        if cycle.state is CycleState.TRAINING and self._training is not None and self._training.cycle == cycle.id:
            line.update(self._training.model_dump(mode="json", exclude={"kind"}))
        if (slowed_to := self._slowed_to()) is not None:
            line["slowed_to"] = slowed_to
        if self._phase is not None and self._cycle is not None and self._cycle.id == cycle.id:
            line.update(self._phase.model_dump(mode="json", exclude={"kind", "to"}))
        return line

    def tell(self, cycle: Cycle) -> None:
        """Tell followers that the cycle is in a new state or at a new attempt."""
        self._cycle, self._phase = cycle, None
        self.followers.send(cycle.id, self.describe(cycle))

    def train(self, progress: TrainProgress) -> None:
        """Tell followers how far training came."""
        self._training, self._phase = progress, None
        if self._cycle is not None and self._cycle.id == progress.cycle:
            self.followers.send(progress.cycle, self.describe(self._cycle))

    def beaten(self) -> None:
        """A worker showed that it lives: a time to say that its share of the processors is another now."""
        if self._cycle is not None and self._slowed_to() != self._told:
            self._told = self._slowed_to()
            self.followers.send(self._cycle.id, self.describe(self._cycle))

    def phase(self, cycle: int, progress: PhaseProgress) -> None:
        """Tell followers how far work on a cycle came that is not a step of training."""
        if self._cycle is not None and self._cycle.id == cycle:
            self._phase = progress
            self.followers.send(cycle, self.describe(self._cycle))

    def end(self, cycle: Cycle) -> None:
        """End the streams of its followers: the cycle has ended."""
        self._cycle, self._training, self._phase = None, None, None
        self.followers.send(cycle.id, None)
