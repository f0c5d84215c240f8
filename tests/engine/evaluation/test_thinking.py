"""Every step against the model that was told to stop there, loaded and measured in the ordinary way."""

import io
import itertools
import json
import math
import sys
from pathlib import Path

import pytest
import torch
from torch.distributions import Categorical

from engine import version
from engine.config.model import ModelSettings
from engine.data.samples import Text
from engine.device import Placement
from engine.evaluation import likelihood, thinking
from engine.manifest import Lineage
from engine.models import registry
from engine.tokenizers import bpe
from engine.tokenizers.bytes import ByteTokenizer

CPU = Placement(torch.device("cpu"), torch.float32)
STEPS = 3
TEXT = "Ein Fuß denkt in vier Schritten, oder in keinem."


def shape(steps: int) -> ModelSettings:
    return ModelSettings(
        family="agiformer", preset="tiny", hidden=32, layers=2, heads=4, feed_forward=48, thinking_steps=steps,
        context=64,
    )  # fmt: skip


def publish(folder, number, settings, tokenizer, weights):
    kept = registry.module(registry.skeleton(settings, tokenizer.vocabulary)).state_dict()
    provenance = Lineage(number, None, None, "", 0, {}, 0.0, {})
    chosen = {name: weight for name, weight in weights.items() if name in kept}
    version.publish(folder / f"{number:06d}", chosen, settings, tokenizer, provenance)
    return version.load(folder / f"{number:06d}", CPU)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory):
    """The same weights with 0 to 3 steps."""
    folder, tokenizer = tmp_path_factory.mktemp("versions"), ByteTokenizer()
    model = registry.build(shape(STEPS), tokenizer.vocabulary, seed=4)
    weights = model.state_dict()
    return [publish(folder, steps + 1, shape(steps), tokenizer, weights) for steps in range(STEPS + 1)]


def test_each_step_is_what_stopping_there_gives(stopped) -> None:
    found = thinking.look(stopped[-1], TEXT)
    size = len(TEXT.encode())
    assert (found.version, found.bytes, found.left_out) == ("000004", size, 0)
    ids = torch.tensor([[1, *stopped[0].tokenizer.encode(TEXT)]])
    rows = ids[:, :-1], torch.arange(size)[None], torch.zeros(1, size, dtype=torch.long)
    with torch.no_grad():
        states = [one.model.hidden(*rows)[0] for one in stopped]
        predictions = [Categorical(logits=one.model.logits(s)) for one, s in zip(stopped, states, strict=True)]
    for number, step in enumerate(found.steps):
        losses = -predictions[number].log_prob(ids[0, 1:])
        assert step.step == number
        assert step.loss == pytest.approx(losses.mean().item(), rel=1e-5)
        assert step.bits_per_byte == pytest.approx(losses.mean().item() / math.log(2), rel=1e-5)
        assert step.entropy == pytest.approx(predictions[number].entropy().mean().item(), rel=1e-5)
    assert (found.steps[0].change, found.steps[0].relative_change, found.steps[0].other_byte) == (None, None, None)
    moved = [torch.linalg.vector_norm(after - before, dim=1) for before, after in itertools.pairwise(states)]
    assert [step.change for step in found.steps[1:]] == pytest.approx([one.mean().item() for one in moved], rel=1e-4)
    best = [prediction.probs.argmax(-1) for prediction in predictions]
    others = [(after != before).double().mean().item() for before, after in itertools.pairwise(best)]
    assert [step.other_byte for step in found.steps[1:]] == pytest.approx(others)
    assert max(others) > 0, "the steps of this model change something"


def test_the_last_step_agrees_with_the_evaluation(stopped) -> None:
    """Which counts the end of the text as well, so it is taken from the nats."""
    whole = thinking.look(stopped[-1], TEXT).steps[-1].loss * len(TEXT.encode())
    document = likelihood.encode_documents(stopped[-1].tokenizer, [Text(text=TEXT)])
    document[0].encoded.supervised[-1] = False
    assert likelihood.measure(stopped[-1].model, document, length=64, batch_size=1).nats_C[0] == pytest.approx(whole)


def test_what_is_beyond_the_context_is_counted_as_left_out(stopped) -> None:
    found = thinking.look(stopped[-1], "a" * 100)
    assert (found.bytes, found.left_out) == (64, 36)


def test_another_family_is_told_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = bpe.train(["to be or not to be"], 300, 1 << 20)
    settings = ModelSettings(preset="tiny", hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=24, context=32)
    publish(tmp_path, 5, settings, tokenizer, registry.build(settings, tokenizer.vocabulary, 0).state_dict())
    monkeypatch.setattr(sys, "argv", ["thinking", str(tmp_path / "000005")])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hello")))
    assert thinking.main() == 1
    assert capsys.readouterr().err == "version 000005 is of family thor; only an agiformer thinks in steps\n"


def test_the_command_prints_what_was_found(
    stopped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = stopped[-1]
    publish(tmp_path, 4, shape(STEPS), loaded.tokenizer, registry.module(loaded.model).state_dict())
    monkeypatch.setattr(sys, "argv", ["thinking", str(tmp_path / "000004")])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert thinking.main() == 0
    found = json.loads(capsys.readouterr().out)
    assert [step["loss"] for step in found["steps"]] == [step.loss for step in thinking.look(loaded, TEXT).steps]
