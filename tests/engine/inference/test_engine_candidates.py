"""How probable candidates are after a prompt: as when each is read behind its own copy of it, in any company."""

import random
from collections.abc import Callable, Sequence

import pytest

from engine.config.model import ModelSettings
from engine.inference.requests import CandidatesScored, GenerationParams, PromptTooLongError, Sampling
from engine.inference.versions.loaded_model import LoadedModel
from engine.native import library
from engine.tokenizers.base import Tokenizer
from tests.engine.inference.conftest import Heard, make_loaded

CANDIDATES = ((9,), (10, 11), (9, 12, 13, 14), tuple(range(8, 158)))
"""One token, several that begin alike, and more than are read at once."""
SHAPES = {
    "torch": (ModelSettings(hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=64, context=400), False),
    "kernel": (ModelSettings(hidden=64, layers=2, heads=4, kv_heads=2, feed_forward=64, context=400), True),
    "rows that cannot go back": (ModelSettings(family="char_lstm", hidden=16, context=400), False),
}


def found(heard: Heard, sequence: int = 0) -> tuple[float, ...]:
    events = heard.wait().events
    return next(each.logprobs for each in events if isinstance(each, CandidatesScored) and each.sequence == sequence)


@pytest.mark.parametrize("name", SHAPES)
def test_they_are_those_of_whole_texts(name: str, make_running: Callable, tokenizer: Tokenizer) -> None:
    shape, native = SHAPES[name]
    if native and library.kernel() is None:
        pytest.skip("the kernel is not built on this machine: python -m engine.native.build")
    running = make_running(make_loaded(1, shape, tokenizer, native=native))
    draws = random.Random(3)
    top = tokenizer.vocabulary
    candidates = tuple(tuple(token % top for token in tokens) for tokens in CANDIDATES)
    prompts = [[1, *(draws.randrange(8, top) for _ in range(length))] for length in (0, 5, 130, 60)]
    asked = [running.ask([prompt], GenerationParams(0, candidates=candidates)) for prompt in prompts]
    greedy = Sampling(temperature=0.0, top_logprobs=0)
    beside = running.ask([prompts[1]], GenerationParams(20, greedy))
    both = running.ask(prompts[:2], GenerationParams(0, candidates=candidates))

    def plainly(prompt: Sequence[int], candidate: Sequence[int]) -> float:
        scoring = GenerationParams(0, greedy, score_prompt=True)
        scores = running.ask([[*prompt, *candidate]], scoring).wait().prompt_scores()
        return sum(token.logprob for token in scores[-len(candidate) :])

    expected = [[plainly(prompt, candidate) for candidate in candidates] for prompt in prompts]
    for heard, plain in zip(asked, expected, strict=True):
        assert found(heard) == pytest.approx(plain, abs=2e-3, rel=1e-5)
    assert [found(both, number) for number in (0, 1)] == [pytest.approx(each, abs=2e-3) for each in expected[:2]]
    assert len(beside.wait().tokens()) == len(running.ask([prompts[1]], GenerationParams(20, greedy)).wait().tokens())


def test_a_candidate_must_fit_behind_the_prompt(make_running: Callable, loaded: LoadedModel) -> None:
    running = make_running(loaded)
    prompt = [1] * (loaded.context - 2)
    assert len(found(running.ask([prompt], GenerationParams(0, candidates=((8, 9, 10), (9,)))))) == 2
    with pytest.raises(PromptTooLongError):
        running.ask([prompt], GenerationParams(0, candidates=((8, 9, 10, 11),)))
