"""Choices follow the distribution that was asked for, and do not depend on who else is in the batch."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from engine.inference.requests import Sampling
from engine.inference.runner import Choice
from engine.inference.runners.sampling import WIDTH, choose, score

VOCABULARY = 1500


def logits_of(seed: int, rows: int = 1, spread: float = 3.0) -> torch.Tensor:
    return torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * spread


def distribution(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """What transformers' warpers make of it, in the documented order."""
    scores = TemperatureLogitsWarper(sampling.temperature)(None, logits) if sampling.temperature != 1 else logits
    if sampling.top_k:
        scores = TopKLogitsWarper(sampling.top_k)(None, scores)
    if sampling.top_p < 1:
        scores = TopPLogitsWarper(sampling.top_p)(None, scores)
    if sampling.min_p:
        scores = MinPLogitsWarper(sampling.min_p)(None, scores)
    return scores.softmax(-1)[0]


def shares(logits: torch.Tensor, sampling: Sampling, draws: int = 8192) -> torch.Tensor:
    """How much of [0, 1) each token is chosen for: the exact distribution, up to the grid."""
    choices = [Choice(sampling, {}, (number + 0.5) / draws) for number in range(draws)]
    chosen = Counter(choose(logits.expand(draws, -1), choices))
    return torch.tensor([chosen[token] / draws for token in range(VOCABULARY)])


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=0.3),
        Sampling(temperature=2.5),
        Sampling(top_k=1),
        Sampling(top_k=7),
        Sampling(top_k=WIDTH + 100, temperature=3.0),
        Sampling(top_k=WIDTH + 36, top_p=0.3, temperature=2.0),
        Sampling(top_p=0.5),
        Sampling(top_p=0.999, temperature=4.0),
        Sampling(top_p=0.01),
        Sampling(min_p=0.2),
        Sampling(top_k=20, top_p=0.8, temperature=1.5),
        Sampling(top_k=50, top_p=0.9, min_p=0.05, temperature=0.7),
    ],
    ids=repr,
)
def test_the_distribution_is_that_of_transformers(sampling: Sampling) -> None:
    logits = logits_of(3)
    expected, found = distribution(logits, sampling), shares(logits, sampling)
    assert torch.allclose(found, expected, atol=3e-4)
    assert not found[expected == 0].any(), "a token that was left out is never chosen"


def test_greedy_takes_the_likeliest() -> None:
    logits = logits_of(1, rows=9)
    assert choose(logits, [Choice(Sampling(temperature=0.0), {}, 0.5)] * 9) == logits.argmax(-1).tolist()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_row_depends_on_the_others(data: st.DataObject) -> None:
    sampling = st.builds(
        Sampling,
        temperature=st.sampled_from([0.0, 0.1, 1.0, 5.0]),
        top_k=st.sampled_from([0, 1, 5, WIDTH, WIDTH + 1, VOCABULARY - 1, VOCABULARY, 10 * VOCABULARY]),
        top_p=st.sampled_from([0.1, 0.9, 0.9999, 1.0]),
        min_p=st.sampled_from([0.0, 0.1]),
        presence_penalty=st.sampled_from([0.0, 1.0]),
        logit_bias=st.dictionaries(st.integers(0, VOCABULARY - 1), st.floats(-100, 100), max_size=3),
    )
    counts = st.dictionaries(st.integers(0, VOCABULARY - 1), st.integers(1, 5), max_size=3)
    draw = st.floats(0, 1, exclude_max=True)
    ids = st.lists(st.integers(0, VOCABULARY - 1), max_size=3)
    allowed = st.none() | st.builds(mask_of, st.integers(0, 99), st.sampled_from([0.002, 0.5]))
    choices = data.draw(st.lists(st.builds(Choice, sampling, counts, draw, ids, ids, allowed), min_size=1, max_size=9))
    logits = logits_of(
        data.draw(st.integers(0, 99)), rows=len(choices), spread=data.draw(st.sampled_from([0.0, 0.1, 5]))
    )
    together = choose(logits, choices)
    alone = [choose(logits[row : row + 1], [choice])[0] for row, choice in enumerate(choices)]
    assert together == alone
    for token, choice in zip(together, choices, strict=True):
        if choice.allowed is not None and set(np.flatnonzero(choice.allowed)).difference(choice.barred):
            assert choice.allowed[token]


def mask_of(seed: int, share: float) -> np.ndarray:
    draws = np.random.default_rng(seed)
    mask = draws.random(VOCABULARY) < share
    mask[draws.integers(VOCABULARY)] = True
    return mask


@given(st.floats(0, 1, exclude_max=True))
def test_extreme_scores_and_draws_choose_a_token_that_is_possible(draw: float) -> None:
    logits = torch.full((1, VOCABULARY), -1e30)
    logits[0, 17] = 1e30
    for sampling in (Sampling(), Sampling(top_p=0.5), Sampling(top_k=3), Sampling(temperature=1e-4)):
        assert choose(logits, [Choice(sampling, {}, draw)]) == [17]


def test_penalties_and_biases_are_openais() -> None:
    logits = logits_of(5)
    sampling = Sampling(
        temperature=0.0, presence_penalty=1.5, frequency_penalty=0.25, logit_bias={4: 100.0, 5: -100.0, 6: 2.0}
    )
    expected = logits.clone()
    expected[0, 9] -= 1.5 + 3 * 0.25
    expected[0, 4] += 100
    expected[0, 5] -= 100
    expected[0, 6] += 2
    before = logits.clone()
    assert choose(logits, [Choice(sampling, {9: 3}, 0.0)]) == [int(expected.argmax())] == [4]
    assert torch.equal(logits, before), "scores stay as they are: log-probabilities are taken from them"


def test_scores_are_log_probabilities_of_the_model() -> None:
    logits = logits_of(8, rows=2)
    reference = torch.log_softmax(logits, -1)
    found = score(logits, [11, 12], top_logprobs=3)
    for row, scored in enumerate(found):
        assert scored.id == 11 + row
        assert math.isclose(scored.logprob, reference[row, scored.id], rel_tol=1e-6)
        best = reference[row].topk(3)
        assert [token for token, _ in scored.top] == best.indices.tolist()
        assert [logprob for _, logprob in scored.top] == pytest.approx(best.values.tolist())
    likeliest = int(logits[0].argmax())
    again = score(logits[:1], [likeliest], top_logprobs=1)[0]
    assert again.top == ((likeliest, again.logprob),), "the very same float, so that a client may compare"


@pytest.mark.parametrize("penalty", [1.3, 0.7])
def test_the_repetition_penalty_is_that_of_transformers(penalty: float) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(1, 40, generator=generator)
    for _ in range(20):
        seen = torch.randint(40, (1, 12), generator=generator)
        expected = RepetitionPenaltyLogitsProcessor(penalty)(seen, logits.clone())
        prompt, generated = seen[0, :5].tolist(), dict.fromkeys(seen[0, 5:].tolist(), 1)
        sampling = Sampling(temperature=0.0, repetition_penalty=penalty)
        assert choose(logits, [Choice(sampling, generated, 0.0, prompt)]) == [int(expected.argmax())]
        logits = torch.randn(1, 40, generator=generator)
