"""What a run says of itself, against the weights, data and texts it is about."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from engine import flops, version
from engine.config.model import ModelSettings
from engine.data import shard
from engine.data.batches import Rows
from engine.device import Placement
from engine.models import registry
from engine.training import run
from engine.training.reporting import inspection
from engine.training.reporting.reporter import Stopped
from engine.training.spec import RunPaths
from tests.engine.training.conftest import MakePlan, Recording

CPU = Placement(torch.device("cpu"), torch.float32)


@pytest.fixture
def learned(places: RunPaths, plan: MakePlan, recording: type[Recording]):
    """A short run: its manifest, what was reported, and the lines of its metrics."""
    seen = recording()
    manifest = run.learn(plan(max_steps=4, inspect_every=3), places, seen)
    lines = [json.loads(line) for line in (places.folder / "metrics.jsonl").read_text().splitlines()]
    return manifest, seen, lines


def test_bits_per_character_do_not_depend_on_the_tokenizer(learned, places: RunPaths) -> None:
    """Nats of all that is supervised over its characters, as anybody would count them."""
    _, seen, lines = learned
    data, tokenizer = shard.read(places.folder / "data" / "train"), version.load(places.target, CPU).tokenizer
    answers = [
        tokenizer.decode(data.ids[start:end][data.supervised[start:end]].tolist())
        for start, end in zip(data.starts, data.starts[1:], strict=False)
    ]
    tokens_a_character = data.supervised.sum() / sum(map(len, answers))
    trained = [line for line in lines if "loss" in line]
    assert [line["step"] for line in trained] == [1, 2, 3, 4]
    for line, figures in zip(trained, seen.figures, strict=True):
        assert line["bits_per_character"] == pytest.approx(line["loss"] / math.log(2) * tokens_a_character, rel=1e-6)
        assert (figures.bits_per_character, figures.memory_bytes) == (line["bits_per_character"], line["memory_bytes"])
    [first, *_] = [line for line in lines if "validation_loss" in line]
    assert first["validation_bits_per_character"] == pytest.approx(
        first["validation_loss"] / math.log(2) * tokens_a_character, rel=1e-6
    )


def test_what_is_true_of_the_whole_run_is_said_once(learned) -> None:
    manifest, seen, lines = learned
    [constants] = [line for line in lines if "parameters" in line]
    assert (constants["step"], constants["parameters"], constants["device"]) == (0, manifest.parameters, "cpu")
    rate = seen.figures[-1].tokens_per_second * constants["operations_per_token"]
    assert seen.figures[-1].share_of_peak == pytest.approx(rate / constants["peak_operations_per_second"])
    assert 50e6 < seen.figures[-1].memory_bytes < 10e9


def test_it_is_said_once_by_a_run_that_began_twice(
    places: RunPaths, plan: MakePlan, recording: type[Recording]
) -> None:
    """The first time it is left, or killed, before it has taken a step."""
    with pytest.raises(Stopped):
        run.learn(plan(max_steps=1), places, recording(stop_at=0))
    run.learn(plan(max_steps=1), places, recording())
    lines = [json.loads(line) for line in (places.folder / "metrics.jsonl").read_text().splitlines()]
    assert ["parameters" in line for line in lines].count(True) == 1


def test_a_closer_look_is_taken_at_the_beginning_now_and_then_and_at_the_end(learned, places: RunPaths) -> None:
    _, seen, lines = learned
    assert [step for step, _ in seen.inspections] == [1, 3, 4]
    written = [line for line in lines if "histograms" in line]
    assert [line["step"] for line in written] == [1, 3, 4]
    names = set(registry.module(version.load(places.target, CPU).model).state_dict())
    assert set(written[0]["histograms"]) == {f"{kind}/{name}" for kind in ("weights", "gradients") for name in names}
    assert written[0]["examples"][0].keys() == {"before", "expected", "predicted"}
    assert "What is" in written[0]["examples"][0]["before"]


def test_looking_changes_nothing(places: RunPaths, plan: MakePlan, recording: type[Recording], tmp_path: Path) -> None:
    sums = []
    for name, every in (("never", 0), ("always", 1)):
        its = replace(places, folder=tmp_path / name, target=tmp_path / "versions" / name)
        sums.append(run.learn(plan(max_steps=4, inspect_every=every), its, recording()).sha256)
    assert sums[0] == sums[1]


@pytest.mark.usefixtures("learned")
def test_examples_are_what_the_model_would_write(places: RunPaths) -> None:
    """By the published weights, a token at a time: each the likeliest after the true text before it."""
    loaded = version.load(places.target, CPU)
    rows = Rows(shard.read(places.folder / "data" / "validation"), 48)
    [example, *_] = inspection.Examples(loaded.tokenizer, rows).predict(loaded.model, torch.device("cpu"))
    row = rows.batch([0])
    supervised = [at for at in range(48) if row.supervised_BT[0, at] and row.documents_BT[0, at] == 0]
    ids = row.tokens_BT[0].tolist()
    wanted, got = [], []
    for at in supervised:
        tokens_BT = torch.tensor([ids[: at + 1]])
        with torch.no_grad():
            hidden = loaded.model.hidden(tokens_BT, torch.arange(at + 1)[None], torch.zeros_like(tokens_BT))
        got.append(int(loaded.model.logits(hidden[0, -1:]).argmax()))
        wanted.append(int(row.targets_BT[0, at]))
    assert (example.expected, example.predicted) == (loaded.tokenizer.decode(wanted), loaded.tokenizer.decode(got))


DRAWS = torch.Generator().manual_seed(1)


@pytest.mark.parametrize(
    "values",
    [torch.randn(1000, generator=DRAWS), torch.zeros(7), torch.randn(300, 1000, generator=DRAWS) * 3 - 1],
)
def test_a_histogram_is_that_of_numpy(values) -> None:
    found = inspection.histogram(values)
    flat = values.flatten().numpy()[:: math.ceil(values.numel() / 65_536)].astype(np.float64)
    counts, _ = np.histogram(flat, inspection.BINS, (found.low, found.high))
    assert sum(found.counts) == len(flat)
    assert np.abs(np.array(found.counts) - counts).sum() <= 4  # a value on an edge, rounded
    assert (found.mean, found.deviation) == pytest.approx((flat.mean(), flat.std()), abs=1e-5)


class Products(TorchDispatchMode):
    """Counts the operations of matrix products, as FlopCounterMode does, which is slow to import."""

    operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default, torch.ops.aten.addmm_.default):
            left, right = args[-2:]
            self.operations += 2 * left.numel() * right.shape[1]
        return func(*args, **(kwargs or {}))


TINY = {"thor": {}, "thor, untied": {"tied": False}, "gpt2": {}, "agiformer": {}}


@pytest.mark.parametrize("name", TINY)
def test_operations_are_those_of_the_products(name) -> None:
    """Beside attention: two products with the whole row, three times over, in every layer and round."""
    settings = ModelSettings(family=name.partition(",")[0], preset="tiny", layers=2, **TINY[name])
    model, tokens_BT = registry.build(settings, 264, 0), torch.randint(0, 264, (2, 128))
    with Products() as products:
        hidden = model.hidden(tokens_BT, torch.arange(128).expand(2, 128), torch.zeros_like(tokens_BT))
        torch.autograd.backward(model.logits(hidden.flatten(0, 1)).logsumexp(-1).sum())
    patch, rounds = (4, 5) if name == "agiformer" else (1, 2)
    attention = 12 * rounds * 192 * 128 / patch / patch * tokens_BT.numel()
    found = flops.per_token(settings, 264, 128) * tokens_BT.numel() - attention
    assert found == pytest.approx(products.operations, rel=0.03)
