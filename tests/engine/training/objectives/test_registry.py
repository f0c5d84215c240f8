"""An objective costs a file and a line: the example is trained with by its name, and the loop knows nothing of it."""

import pytest
from pydantic import ValidationError

from engine import objectives
from engine.config.training import TrainingSettings
from engine.data.samples import KINDS
from engine.objectives import OBJECTIVES, ObjectiveEntry
from engine.training import run
from engine.training.objectives import registry
from engine.training.spec import RunPaths
from tests.engine.training.conftest import MakePlan, Recording

BRIER = ObjectiveEntry("examples.objective", frozenset({"dialogue", "text"}))


def test_the_example_is_trained_with_by_its_name(
    places: RunPaths, plan: MakePlan, recording: type[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OBJECTIVES, "brier", BRIER)
    seen = recording()
    run.learn(plan(objective="brier", epochs=3), places, seen)
    losses = [figures.loss for figures in seen.figures]
    assert 0.9 < losses[0] <= 2.0  # of probabilities that are nearly even: about one; never more than two
    assert losses[-1] < losses[0]
    assert seen.validations[-1][1] < seen.validations[0][1]


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValidationError, match="there is no objective 'dpo'; there are language"):
        TrainingSettings(objective="dpo")


@pytest.mark.parametrize(("module", "wrong"), [("engine.disk", "has no function make")])
def test_a_line_that_names_no_objective_is_refused(module: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OBJECTIVES, "odd", ObjectiveEntry(module, frozenset()))
    with pytest.raises(TypeError, match=wrong):
        registry.make(TrainingSettings(objective="odd"), None)


def test_what_no_objective_learns_is_held() -> None:
    assert [kind for kind in KINDS if not objectives.is_learned(kind)] == ["preference"]
