"""Decoding by graphs answers as without. Here a capture only keeps the step and runs it again; with CUDA it is real."""

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from engine.config.model import ModelSettings
from engine.device import Placement
from engine.inference.requests import GenerationParams, Sampling
from engine.inference.runners import graphs
from engine.inference.versions import preparing
from engine.inference.versions.loaded_model import LoadedModel
from engine.inference.versions.turns import Turns
from engine.models import registry
from engine.models.base import LanguageModel
from engine.tokenizers.base import Tokenizer
from tests.daemon.workers.server.harness import make_version
from tests.engine.inference.conftest import ROWS, make_loaded

GREEDY = Sampling(temperature=0.0, top_logprobs=0)
DECODER = {"hidden": 32, "layers": 2, "heads": 4, "context": 192}
THOR = {**DECODER, "kv_heads": 2, "feed_forward": 64}
FAMILIES = {
    "thor": THOR,
    "thor-window": {**THOR, "window": 9},
    "gpt2": DECODER,
}
Plain = Callable[[LanguageModel, Sequence[int], int], list[int]]


class StandIn:
    """Captures by keeping the computation; ``broken`` says in which way it fails, as CUDA might."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.replayed: list[int] = []

    def __call__(self, compute: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        if self.broken == "capture":
            raise RuntimeError("operation not permitted when stream is capturing")
        result = compute()

        def replay() -> None:
            if self.broken == "replay":
                raise RuntimeError("unspecified launch failure")
            self.replayed.append(len(result))
            if self.broken != "stale":
                result.copy_(compute())

        return result, replay


def shape(family: str) -> ModelSettings:
    return ModelSettings.model_validate({"family": family.split("-")[0], **FAMILIES[family]})


def equip(loaded: LoadedModel, capture: graphs.Capture) -> LoadedModel:
    loaded.forward.graphs = graphs.make(loaded.model, loaded.cache, ROWS, capture)
    return loaded


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths of 64, 128 and 192 positions."""
    monkeypatch.setattr(graphs, "SHORTEST", 64)


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_answers_are_those_of_a_plain_loop_in_any_company(
    family: str, make_running: Callable, tokenizer: Tokenizer, continue_plainly: Plain
) -> None:
    capture = StandIn()
    loaded = equip(make_loaded(1, shape(family), tokenizer), capture)
    assert len(loaded.forward.graphs) == 2 * 3  # buckets of 4 and 8 rows
    checked = len(capture.replayed)
    prompts = [[1, *range(9, 9 + length)] for length in (1, 40, 62, 63, 64, 100, 127, 140, 150)]
    running = make_running(loaded, start=False)
    heard = [running.ask([prompt], GenerationParams(30, GREEDY)) for prompt in prompts]
    running.start()
    for prompt, each in zip(prompts, heard, strict=True):
        assert each.wait().tokens() == continue_plainly(loaded.model, prompt, 30)
    assert {4, 8} == set(capture.replayed[checked:])


def test_the_step_looks_at_no_number(tokenizer: Tokenizer) -> None:
    """Fake tensors have none, and a look is an error: as it is while a graph is captured."""
    for family in FAMILIES:
        model = registry.build(shape(family), tokenizer.vocabulary, seed=1)
        registry.module(model).eval()
        with FakeTensorMode(allow_non_fake_inputs=True), torch.inference_mode():
            cache = model.make_cache(6, 192)
            tokens, rows, starts = (torch.zeros(4, dtype=torch.long) for _ in range(3))
            assert model.step(tokens[:, None], cache.beginnings(64), rows, starts).shape == (4, 1, 32)
            with pytest.raises(DataDependentOutputException):
                model.step(tokens[:, None], cache, rows, starts)


def test_each_length_reads_no_further(tokenizer: Tokenizer) -> None:
    loaded = make_loaded(1, shape("thor"), tokenizer)
    cache = loaded.cache.beginnings(64)
    assert cache.length == 64
    assert cache.pool.memory.data_ptr() == loaded.cache.pool.memory.data_ptr(), "the same memory"


def test_shapes_without_a_graph_are_computed_plainly(tokenizer: Tokenizer) -> None:
    loaded = equip(make_loaded(1, shape("thor"), tokenizer), StandIn())
    with torch.inference_mode():
        assert loaded.forward.graphs.step([1] * 4, range(4), [0, 5, 63, 191]) is not None
        assert loaded.forward.graphs.step([1] * 4, range(4), [0, 5, 63, 192]) is None
        assert loaded.forward.graphs.step([1] * 3, range(3), [0] * 3) is None
        assert loaded.forward.graphs.step([1] * 16, range(16), [0] * 16) is None


@pytest.mark.parametrize(
    ("broken", "said"),
    [("capture", "not permitted when stream is capturing"), ("stale", "with 4 rows of 64 positions, scores differ")],
)
def test_what_cannot_be_captured_or_computes_otherwise_is_said_and_not_used(
    broken: str, said: str, tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = equip(make_loaded(1, shape("thor"), tokenizer), StandIn(broken))
    assert not len(loaded.forward.graphs)
    [line] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert said in line


def test_a_replay_that_fails_costs_no_answer(
    make_running: Callable, tokenizer: Tokenizer, continue_plainly: Plain, caplog: pytest.LogCaptureFixture
) -> None:
    capture = StandIn()
    loaded = equip(make_loaded(1, shape("thor"), tokenizer), capture)
    running = make_running(loaded)
    prompt = [1, 9, 10]
    heard = running.ask([prompt], GenerationParams(100, GREEDY))
    assert heard.begun.wait(30)
    capture.broken = "replay"
    assert heard.wait().tokens() == continue_plainly(loaded.model, prompt, 100)
    assert sum("cannot be replayed" in record.getMessage() for record in caplog.records) <= 1
    assert running.ask([prompt], GenerationParams(5, GREEDY)).wait().failure is None
    assert not len(loaded.forward.graphs)


@pytest.mark.parametrize("family", ["char_lstm", "agiformer"])
def test_families_that_look_at_numbers_have_none(family: str) -> None:
    heads = {"heads": 4} if family == "agiformer" else {}
    settings = ModelSettings.model_validate({"family": family, "hidden": 32, "layers": 2, "context": 192, **heads})
    model = registry.build(settings, 300, seed=1)
    assert not len(graphs.make(model, model.make_cache(6, 192), ROWS, StandIn()))


def test_who_captures_is_alone_and_comes_to_it() -> None:
    """An engine that iterates without pause beside it."""
    turns = Turns()
    busy, ended, seen = threading.Event(), threading.Event(), []

    def iterate() -> None:
        while not ended.is_set():
            with turns.iteration():
                busy.set()
                busy.clear()

    engine = threading.Thread(target=iterate)
    engine.start()
    for _ in range(200):
        with turns.alone():
            busy.clear()
            seen.append(busy.wait(0.0005))
    ended.set()
    engine.join(10)
    assert not any(seen)
    assert not engine.is_alive()


def test_streams_of_versions_that_are_gone_serve_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has workspaces that stay: a stream for every version of a long life would take ever more memory."""
    made = []

    def new_stream(_: torch.device) -> mock.Mock:
        made.append(mock.Mock())
        return made[-1]

    monkeypatch.setattr(graphs, "_new_stream", new_stream)
    monkeypatch.setattr(graphs, "_spare_streams", [])
    for name in ("CUDAGraph", "current_stream", "graph_pool_handle"):
        monkeypatch.setattr(torch.cuda, name, mock.Mock())
    for name in ("stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, mock.MagicMock())

    def version() -> Callable[[], None]:
        _, replay = graphs.on_cuda(torch.device("cuda"), contextlib.nullcontext)(lambda: torch.zeros(1))
        return replay

    serving = version()
    for _ in range(5):
        beside = version()
        assert len(made) == 2, "one of its own, which others had before"
        serving = beside
    del serving, beside


@pytest.mark.skipif(not torch.cuda.is_available(), reason="NO CUDA DEVICE HERE: real CUDA graphs are not tested")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_real_graphs_while_another_version_answers(
    dtype: torch.dtype, make_running: Callable, tokenizer: Tokenizer, tmp_path: Path, continue_plainly: Plain
) -> None:
    placement = Placement(torch.device("cuda"), dtype)
    for number in (1, 2):
        make_version(tmp_path / f"{number:06d}", number, tokenizer, shape("thor"))
    running = make_running()

    def load(number: int) -> LoadedModel:
        return preparing.load(tmp_path / f"{number:06d}", placement, ROWS, alone=running.slots.turns.alone)

    first = load(1)
    running.serve(first)
    prompt = [1, 9, 10, 11]
    alone = running.ask([prompt], GenerationParams(150, GREEDY)).wait().tokens()
    beside = [running.ask([prompt], GenerationParams(150, GREEDY)) for _ in range(4)]
    second = load(2)  # captures in this thread while the engine replays
    assert len(first.forward.graphs) == len(second.forward.graphs) == 2 * 3
    assert all(len(each.wait().tokens()) == 150 for each in beside)
    running.serve(second)
    after = running.ask([prompt], GenerationParams(150, GREEDY)).wait()
    assert after.versions == [2]
    if dtype == torch.float32:  # of bf16 two scores are often the same
        assert all(each.tokens() == alone for each in beside)
        for loaded, found in ((first, alone), (second, after.tokens())):
            assert found[:20] == continue_plainly(loaded.model.cpu(), prompt, 20)
