"""What is shown of a cycle under way: its phase, until a step or another state takes its place."""

from daemon.cycle import CycleState
from daemon.messages import PhaseProgress, TrainProgress
from daemon.supervisor.learning.progress import CycleWatch
from daemon.supervisor.store.records import Cycle


def cycle(state: CycleState) -> Cycle:
    return Cycle(id=7, state=state, reason="test", created_at="2026-01-01T00:00:00Z")


def phase(activity: str) -> PhaseProgress:
    return PhaseProgress(to=1, activity=activity, done=3, total=10, eta_seconds=2.0)


def test_every_phase_is_shown_and_of_no_other_cycle() -> None:
    watch, training, evaluating = CycleWatch(lambda: None), cycle(CycleState.TRAINING), cycle(CycleState.EVALUATING)
    watch.tell(training)
    watch.phase(7, phase("tokenising"))
    shown = watch.describe(training)
    assert (shown["activity"], shown["done"], shown["total"], shown["eta_seconds"]) == ("tokenising", 3, 10, 2.0)
    step = TrainProgress(cycle=7, step=1, steps=9, loss=1.0, learning_rate=0.1, tokens_per_second=5.0, eta_seconds=8.0)
    watch.train(step)
    assert "activity" not in watch.describe(training)
    watch.phase(7, phase("validating"))
    assert (watch.describe(training)["step"], watch.describe(training)["activity"]) == (1, "validating")
    watch.tell(evaluating)
    assert watch.describe(evaluating) == {"cycle": 7, "state": "evaluating", "attempt": 1}
    watch.phase(8, phase("measuring"))
    assert "activity" not in watch.describe(evaluating)
    watch.phase(7, phase("measuring the candidate"))
    assert watch.describe(evaluating)["activity"] == "measuring the candidate"
