"""How much of prompts an iteration reads, so that answers under way wait for a bounded time."""

from collections.abc import Sequence

import pytest

from engine.inference.requests import GenerationParams, Request, Sampling, SequenceState
from engine.inference.scheduling.batching import CHUNK, plan, prefill_budget

GREEDY = Sampling(temperature=0.0)


def sequences(lengths: Sequence[int], params: GenerationParams | None = None) -> list[SequenceState]:
    """Of prompts of these lengths, of which nothing is read."""
    chosen = GenerationParams(8, GREEDY) if params is None else params
    return [Request([list(range(length))], chosen, lambda _: None).sequences[0] for length in lengths]


@pytest.mark.parametrize(("answers", "tokens"), [(0, 256), (1, 128), (3, 128), (4, 64), (100, 64)])
def test_the_more_answers_wait_the_less_is_read_at_once(answers: int, tokens: int) -> None:
    assert prefill_budget(answers) == tokens


def test_a_prompt_is_cut_where_chunks_cost_what_they_have() -> None:
    short, long = sequences([24, 500])
    now = plan([short, long], step=1, budget=64)
    assert now.prefill == [(short, 24), (long, 40)]


def test_elsewhere_prompts_are_read_in_whole_chunks_one_at_least() -> None:
    first, second = sequences([500, 20])
    assert plan([first, second], step=32, budget=64).prefill == [(first, CHUNK)]
    assert plan([second, first], step=32, budget=64).prefill == [(second, 20)]


def test_what_hidden_states_add_up_to_does_not_depend_on_other_answers() -> None:
    """Sums of floats depend on the pieces."""
    (summed,) = sequences([500], GenerationParams(0, GREEDY, sum_hidden=True))
    assert plan([summed], step=1, budget=64).prefill == plan([summed], step=1).prefill == [(summed, CHUNK)]


def test_no_more_is_read_than_the_budget_allows() -> None:
    now = plan(sequences([100] * 4), step=1, budget=256)
    assert [length for _, length in now.prefill] == [100, 100, 56]
