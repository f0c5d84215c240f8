"""A family costs a file and a line: the example is set, counted, trained, published, scored and decoded by its name."""

import pytest
import torch
from pydantic import ValidationError

from engine import flops, version
from engine.config.evaluation import EvaluationSettings
from engine.config.model import ModelSettings
from engine.data.samples import Conversation
from engine.device import Placement
from engine.evaluation import evaluate
from engine.families.table import FAMILIES
from engine.models import registry
from engine.training import run
from engine.training.spec import RunPaths
from examples.family import MEAN
from tests.engine.training.conftest import MakePlan, Recording

CPU = Placement(torch.device("cpu"), torch.float32)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(FAMILIES, "mean", MEAN)
    return ModelSettings(family="mean", preset="tiny", hidden=32)


def test_it_is_trained_published_and_scored(
    settings, places: RunPaths, plan: MakePlan, recording: type[Recording], conversations: list[Conversation]
) -> None:
    seen = recording()
    run.learn(plan(epochs=4).model_copy(update={"model": settings}), places, seen)
    assert seen.figures[-1].loss < 0.95 * seen.figures[0].loss
    loaded = version.load(places.target, CPU)
    found = evaluate.measure_version(loaded, conversations[:20], EvaluationSettings())
    assert 0 < found.nats_C.sum() / found.tokens_C.sum() < seen.figures[0].loss


def test_decoding_gives_what_training_sees(settings) -> None:
    model = registry.build(settings, 264, seed=3)
    registry.module(model).eval()
    tokens = torch.randint(0, 264, (1, 9), generator=torch.Generator().manual_seed(1))
    whole = model.hidden(tokens, torch.arange(9)[None], torch.zeros_like(tokens))
    cache, row = model.make_cache(2, 16), torch.tensor([1])
    steps = [model.step(tokens[:, at : at + 1], cache, row, torch.tensor([at])) for at in range(9)]
    torch.testing.assert_close(torch.cat(steps, 1), whole)


def test_its_weights_and_operations_are_counted(settings) -> None:
    assert registry.parameter_count(settings, 264) == 264 * 32 + 32 * 64 + 264 * 32
    assert flops.per_token(settings, 264, 64, supervised=0.5) == 6 * (32 * 64 + 0.5 * 264 * 32)


def test_settings_say_what_it_knows(settings) -> None:
    with pytest.raises(ValidationError, match="family 'mean' does not know heads; it knows hidden, layers, context"):
        ModelSettings(family="mean", heads=2)
    with pytest.raises(ValidationError, match="or 'mean'"):
        ModelSettings(family="median")
