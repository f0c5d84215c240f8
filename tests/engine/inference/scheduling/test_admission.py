"""Who begins, waits or is refused where memory is short; whoever has begun is answered as if there were plenty."""

from collections.abc import Callable

import pytest

from engine.config.model import ModelSettings
from engine.inference.requests import GenerationParams, Sampling
from engine.inference.scheduling import admission
from engine.inference.scheduling.batching import CHUNK
from engine.inference.versions.loaded_model import LoadedModel
from engine.tokenizers.base import Tokenizer
from tests.engine.inference.conftest import make_loaded

SHAPE = ModelSettings(hidden=32, layers=1, heads=4, kv_heads=2, feed_forward=64, context=1024)
GREEDY = Sampling(temperature=0.0, top_logprobs=0)


@pytest.mark.parametrize(
    ("needed", "free", "kept", "running", "expected"),
    [
        (10, 10, True, True, "begin"),
        (10, 9, True, True, "forget"),
        (10, 9, True, False, "forget"),
        (10, 9, False, True, "wait"),
        (10, 9, False, False, "refuse"),
        (0, 0, False, False, "begin"),
    ],
)
def test_the_table(needed: int, free: int, kept: bool, running: bool, expected: str) -> None:
    assert admission.admit(needed, free, kept=kept, running=running) == expected


@pytest.fixture
def tight(make_running: Callable, tokenizer: Tokenizer) -> Callable[[int], tuple]:
    """An engine with memory for the weights and so many positions."""

    def start(positions: int) -> tuple:
        loaded = make_loaded(1, SHAPE, tokenizer)
        running = make_running(loaded)
        running.slots.memory_limit = loaded.weight_bytes + loaded.cache.bytes_for(positions)
        return running, loaded

    return start


def test_what_does_not_fit_yet_waits_and_is_answered_the_same(
    tight: Callable[[int], tuple], make_running: Callable, tokenizer: Tokenizer
) -> None:
    running, loaded = tight(256)
    params = GenerationParams(30, GREEDY)
    prompts = [[1, *range(9, 9 + length)] for length in (3, 40, 70, 100, 33, 90)]
    heard = [running.ask([prompt], params) for prompt in prompts]
    plenty = make_running(make_loaded(1, SHAPE, tokenizer))
    for prompt, each in zip(prompts, heard, strict=True):
        assert each.wait().tokens() == plenty.ask([prompt], params).wait().tokens()
        assert loaded.bytes <= running.slots.memory_limit
    assert not loaded.rows.busy


def test_what_never_fits_is_refused_by_name_and_others_go_on(tight: Callable[[int], tuple]) -> None:
    running, loaded = tight(256)
    refused = running.ask([[1, 9]], GenerationParams(600, GREEDY)).wait().failure
    assert refused is not None
    assert refused.kind == "no_memory"
    assert "602 tokens" in refused.message
    assert running.ask([[1, 9]], GenerationParams(5, GREEDY)).wait().failure is None
    assert loaded.cache.held_bytes == 0


def test_nobody_overtakes_who_waits_for_memory(tight: Callable[[int], tuple]) -> None:
    running, _ = tight(192)
    running.listening.go_on.clear()
    first = running.ask([[1, 9]], GenerationParams(60, GREEDY), client="a")
    assert first.begun.wait(30)
    large = running.ask([[1, 9]], GenerationParams(150, GREEDY), client="b")
    small = running.ask([[1, 9]], GenerationParams(2, GREEDY), client="c")
    order = []
    for name, each in (("first", first), ("large", large), ("small", small)):
        each.request.receive = lambda event, each=each, name=name: (order.append(name), each.receive(event))
    running.listening.go_on.set()
    for each in (first, large, small):
        assert each.wait().failure is None
    assert order.index("large") < order.index("small")


def test_a_long_conversation_makes_the_oldest_kept_prompts_go(tight: Callable[[int], tuple]) -> None:
    running, loaded = tight(1024)
    prompts = [[1, *([20 + number] * (2 * CHUNK))] for number in range(3)]

    def reused(prompt: list[int], length: int = 1) -> int:
        return running.ask([prompt], GenerationParams(length, GREEDY)).wait().finished().cached_tokens

    assert [reused(prompt) for prompt in prompts] == [0, 0, 0]
    assert [reused(prompt) for prompt in prompts] == [2 * CHUNK] * 3
    assert loaded.cache.held_bytes == loaded.cache.bytes_for(6 * CHUNK)
    assert reused([1, 9], 500) == 0  # 256 positions are free, 256 more the oldest prompt had
    assert loaded.cache.held_bytes == loaded.cache.bytes_for(4 * CHUNK)
    assert [reused(prompt) for prompt in reversed(prompts)] == [2 * CHUNK, 2 * CHUNK, 0]


@pytest.mark.parametrize("native", [False, True])
def test_one_conversation_reaches_the_end_of_the_context(
    native: bool, make_running: Callable, tokenizer: Tokenizer, continue_plainly: Callable
) -> None:
    shape = SHAPE.model_copy(update={"context": 140, "hidden": 64})
    loaded: LoadedModel = make_loaded(1, shape, tokenizer, native=native)
    found = make_running(loaded).ask([[1, 9, 10]], GenerationParams(10_000, GREEDY)).wait()
    assert found.finished().generated == 137
    if not native:
        assert found.tokens() == continue_plainly(loaded.model, [1, 9, 10], 137)
    assert loaded.cache.held_bytes == 0
