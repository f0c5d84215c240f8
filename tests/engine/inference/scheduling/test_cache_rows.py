"""Prompts that begin alike: read once, answered as if each were alone with an engine that has seen nothing."""

import random
from collections.abc import Callable, Sequence

import pytest

from engine.config.model import ModelSettings
from engine.inference.requests import GenerationParams, Sampling
from engine.inference.scheduling.batching import CHUNK
from engine.inference.versions.loaded_model import LoadedModel
from engine.tokenizers.base import Tokenizer
from tests.engine.inference.conftest import make_loaded

GREEDY = GenerationParams(8, Sampling(temperature=0.0, top_logprobs=0))
SHAPES = {
    "thor": {"kv_heads": 2, "feed_forward": 64},
    "gpt2": {},
    "agiformer": {"feed_forward": 64, "window": 20},
    "char_lstm": {"heads": None},
}


@pytest.fixture(params=SHAPES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def fresh(family: str, tokenizer: Tokenizer) -> Callable[[int], LoadedModel]:
    settings = {"family": family, "hidden": 32, "layers": 2, "heads": 4, "context": 560, **SHAPES[family]}
    return lambda number: make_loaded(number, ModelSettings.model_validate(settings), tokenizer)


def text(seed: int, length: int) -> list[int]:
    draws = random.Random(seed)
    return [draws.randrange(8, 250) for _ in range(length)]


def alone(
    make_running: Callable, loaded: LoadedModel, prompt: Sequence[int], params: GenerationParams = GREEDY
) -> list[object]:
    """By an engine that answers nothing else."""
    return make_running(loaded).ask([prompt], params).wait().scored()


def test_answers_are_the_same_bit_for_bit_whatever_was_read_before(
    make_running: Callable, fresh: Callable[[int], LoadedModel], family: str
) -> None:
    start = text(1, 3 * CHUNK)
    prompts = [start + text(seed, length) for seed, length in ((2, 40), (3, 1), (4, CHUNK), (5, 90))]
    prompts += [start, start[: 2 * CHUNK + 1], start[:200] + text(6, 100), prompts[0], text(7, 3)]
    asked = [GREEDY, GenerationParams(8, Sampling(temperature=1.2, seed=3, top_logprobs=0))]
    running = make_running(fresh(1))
    reused = []
    for prompt in prompts:
        for params in asked:
            heard = running.ask([prompt], params).wait()
            assert heard.scored() == alone(make_running, fresh(1), prompt, params)
            reused.append(heard.finished().cached_tokens)
    whole = [(len(prompt) - 1) // CHUNK * CHUNK for prompt in prompts]
    first = [0, 3 * CHUNK, 3 * CHUNK, 3 * CHUNK, 2 * CHUNK, 2 * CHUNK, CHUNK, 3 * CHUNK, 0]
    expected = [length for pair in zip(first, whole, strict=True) for length in pair]
    assert reused == ([0] * len(expected) if family == "char_lstm" else expected)


def test_so_they_are_in_company(make_running: Callable, fresh: Callable[[int], LoadedModel]) -> None:
    start = text(1, 2 * CHUNK)
    prompts = [start[: 100 * (seed % 3)] + text(seed, 30 + 40 * (seed % 4)) for seed in range(10)]
    expected = [[token.id for token in alone(make_running, fresh(1), prompt)] for prompt in prompts]
    running = make_running(fresh(1))
    heard = [running.ask([prompt], GREEDY) for prompt in prompts * 3]
    assert [each.wait().tokens() for each in heard] == expected * 3


def test_what_another_version_read_is_not_found(make_running: Callable, fresh: Callable[[int], LoadedModel]) -> None:
    prompt = text(1, 2 * CHUNK + 9)
    running = make_running(fresh(1))
    running.ask([prompt], GREEDY).wait()
    running.serve(fresh(2))
    found = running.ask([prompt], GREEDY).wait()
    assert found.finished().cached_tokens == 0
    assert found.scored() == alone(make_running, fresh(2), prompt)
    assert running.ask([prompt], GREEDY, pin=1).wait().scored() == alone(make_running, fresh(1), prompt)


@pytest.mark.parametrize("length", [7, CHUNK, 2 * CHUNK + 6])
def test_choices_of_one_prompt_read_it_once(
    make_running: Callable, fresh: Callable[[int], LoadedModel], length: int
) -> None:
    prompt = text(1, length)
    params = GenerationParams(8, Sampling(temperature=1.0, seed=11, top_logprobs=0))
    shared = make_running(fresh(1)).ask([prompt] * 4, params).wait()
    apart = make_running(fresh(1)).ask([list(prompt) for _ in range(4)], params).wait()
    for index in range(4):
        assert shared.tokens(index) == apart.tokens(index)
        expected = [token.logprob for token in apart.scored(index)]
        assert [token.logprob for token in shared.scored(index)] == pytest.approx(expected, abs=1e-5)
    assert [shared.finished(index).cached_tokens for index in range(4)] == [0, length, length, length]


def test_more_choices_than_rows(make_running: Callable, fresh: Callable[[int], LoadedModel]) -> None:
    prompt = text(1, CHUNK + 5)
    found = make_running(fresh(1)).ask([prompt] * 12, GREEDY).wait()
    expected = [token.id for token in alone(make_running, fresh(1), prompt)]
    assert [found.tokens(index) for index in range(12)] == [expected] * 12


def test_the_longest_unused_goes_first(make_running: Callable, loaded: LoadedModel, tokenizer: Tokenizer) -> None:
    settings = ModelSettings(hidden=32, layers=1, heads=4, kv_heads=2, feed_forward=64, context=2 * CHUNK)
    running = make_running(make_loaded(1, settings, tokenizer, rows=3))

    def reused(seed: int) -> int:
        return running.ask([text(seed, CHUNK + 5)], GREEDY).wait().finished().cached_tokens

    assert [reused(seed) for seed in (1, 2, 3)] == [0, 0, 0]
    assert reused(1) == CHUNK
    assert reused(4) == 0  # takes the place of 2
    assert [reused(seed) for seed in (1, 3, 4)] == [CHUNK] * 3
    running.ask([[9]], GREEDY).wait()  # of 1, and leaves nothing to find
    running.ask([[9]], GREEDY).wait()  # where the last one was
    assert [reused(seed) for seed in (3, 4, 1)] == [CHUNK, CHUNK, 0]


def test_every_token_of_a_prompt_is_scored_though_it_was_read_before(
    make_running: Callable, fresh: Callable[[int], LoadedModel]
) -> None:
    prompt = text(1, 2 * CHUNK + 20)
    params = GenerationParams(1, Sampling(temperature=0.0, top_logprobs=0), score_prompt=True)
    running = make_running(fresh(1))
    first = running.ask([prompt], params).wait()
    again = running.ask([prompt, prompt], params).wait()
    assert len(first.prompt_scores()) == len(prompt) - 1
    assert first.prompt_scores() == again.prompt_scores(0) == again.prompt_scores(1)


def test_a_prompt_read_in_pieces_beside_others_answers_as_alone_and_is_found_again(
    make_running: Callable, fresh: Callable[[int], LoadedModel], family: str
) -> None:
    start = text(1, 2 * CHUNK)
    first, second = start + text(2, 30), start + text(3, 70)
    running = make_running(fresh(1))
    others = [running.ask([text(10 + number, 20)], GenerationParams(250, GREEDY.sampling)) for number in range(5)]
    heard = [running.ask([prompt], GREEDY).wait() for prompt in (first, second)]
    for prompt, answer in zip((first, second), heard, strict=True):
        assert answer.scored() == alone(make_running, fresh(1), prompt)
    assert heard[1].finished().cached_tokens == (0 if family == "char_lstm" else 2 * CHUNK)
    for other in others:
        other.wait()
