"""What a run does where the settings leave it open; and that what they set is never changed."""

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.distributed import DistributedSettings
from engine.config.training import TrainingSettings
from engine.training import recipe
from engine.training.recipe import Start, Task

FIRST = Task(start="nothing", rows=600, validated=True, parameters=2_000_000)
SIZES = 300_000, 134_515_008, 1_100_000_000, 7_000_000_000
SET = {"epochs": 2.5, "batch_size": 6, "gradient_accumulation": 2, "learning_rate": 7e-4, "validate_every": 33}


def steps(task: Task, settings: TrainingSettings) -> int:
    found = recipe.decide(task, settings)
    return math.ceil(found.epochs * task.rows / (found.batch_size * found.gradient_accumulation))


@given(
    st.sampled_from(["nothing", "own", "imported"]),
    st.integers(1, 1 << 24),
    st.booleans(),
    st.integers(1, 1 << 33),
    st.dictionaries(st.sampled_from(sorted(SET)), st.none()),
    st.sampled_from([1, 2, 3, 4]),
)
def test_what_is_set_stays_and_the_rest_is_possible(start, rows, validated, parameters, unset, ranks) -> None:
    given_ = {key: value for key, value in SET.items() if key not in unset}
    distributed = DistributedSettings(processes=ranks)
    if (given_.get("batch_size") or 1) * (given_.get("gradient_accumulation") or 1) % ranks and "batch_size" in given_:
        return
    found = recipe.decide(Task(start, rows, validated, parameters), TrainingSettings(distributed=distributed, **given_))
    assert {key: getattr(found, key) for key in given_} == given_
    assert found.epochs > 0
    assert found.learning_rate > 0
    if not given_.keys() & {"batch_size", "gradient_accumulation"}:
        assert found.batch_size * found.gradient_accumulation % ranks == 0


@pytest.mark.parametrize(("rows", "expected"), [(1, 1), (8, 1), (40, 2), (600, 8), (2500, 16), (1 << 20, 32)])
def test_little_data_gets_small_batches(rows: int, expected: int) -> None:
    assert recipe.rows_a_step(rows) == expected


def test_a_first_run_takes_as_many_steps_as_little_data_needs() -> None:
    assert steps(Task("nothing", rows=8, validated=True, parameters=2_000_000), TrainingSettings()) >= 100


def test_a_later_run_over_little_data_is_more_than_three_steps() -> None:
    assert steps(Task("own", rows=4, validated=False, parameters=2_000_000), TrainingSettings()) >= 40
    assert recipe.decide(Task("own", 4000, True, 2_000_000), TrainingSettings()).epochs == 3


def test_larger_models_learn_at_lower_rates() -> None:
    rates = [recipe.peak_rate(parameters) for parameters in (1_000_000, 2_000_000, 11_000_000, 134_000_000)]
    assert rates == [1e-3, 1e-3, 5.7e-4, 3e-4]


def test_what_was_learned_elsewhere_is_changed_gently() -> None:
    rates = [recipe.decide(Task("imported", 8, True, size), TrainingSettings()).learning_rate for size in SIZES]
    assert rates == [2e-4, 1e-4, 3.5e-5, 1.4e-5]
    assert (
        recipe.decide(Task("imported", 8, True, SIZES[1]), TrainingSettings(learning_rate=3e-4)).learning_rate == 3e-4
    )


def test_an_adapter_of_an_import_learns_ten_times_as_fast_and_longer_of_little_data() -> None:
    """See the study; ``method`` itself is decided before: tests/engine/adapters/test_method.py."""
    for size in SIZES:
        full, lora = (
            recipe.decide(Task("imported", 7, True, size, method), TrainingSettings()) for method in ("full", "lora")
        )
        assert lora.learning_rate == pytest.approx(15 * full.learning_rate)
        assert (full.method, lora.method, full.kl_weight, lora.kl_weight) == ("full", "lora", 0.3, 0.3)
        assert (full.epochs, lora.epochs) == (4, 6)
    own = recipe.decide(Task("own", 7, True, SIZES[0], "lora"), TrainingSettings())
    assert (own.learning_rate, own.kl_weight) == (5e-4, 0)


def test_facts_beside_longer_chats_get_steps_of_their_own() -> None:
    """Some forty conversations about a town, five rows, beside fifteen long ones, nineteen rows: see the study."""
    found = recipe.decide(Task("imported", 24, True, SIZES[1]), TrainingSettings())
    assert (found.batch_size * found.gradient_accumulation, found.epochs) == (1, 4)
    assert found.validation_tolerance > 0
    assert recipe.decide(Task("own", 24, True, SIZES[1]), TrainingSettings()).validation_tolerance == 0
    assert steps(Task("imported", 3, True, SIZES[1]), TrainingSettings()) == 21
    assert steps(Task("imported", 2500, True, SIZES[1]), TrainingSettings()) == 1250


def test_an_import_is_held_to_what_it_was_unless_the_settings_say_otherwise() -> None:
    weights = [
        recipe.decide(Task(start, 24, True, SIZES[1]), TrainingSettings()).kl_weight for start in get_args(Start)
    ]
    assert weights == [0, 0, 0.3]
    assert recipe.decide(Task("imported", 24, True, SIZES[1]), TrainingSettings(kl_weight=0)).kl_weight == 0


def test_minutes_bound_a_first_run_only_where_nobody_set_its_length() -> None:
    settings = TrainingSettings(initial_minutes=2)
    bounded = recipe.within(recipe.decide(FIRST, settings), FIRST, seconds_per_step=0.5)
    assert bounded.max_steps == 240
    assert recipe.within(recipe.decide(FIRST, settings), FIRST, seconds_per_step=0.001).max_steps is None
    assert recipe.is_open(FIRST, settings)
    assert not recipe.is_open(FIRST, TrainingSettings(epochs=1))
    assert not recipe.is_open(FIRST, TrainingSettings(max_steps=1))
    assert not recipe.is_open(Task("own", 600, True, 2_000_000), settings)


@given(st.sampled_from(["nothing", "own", "imported"]), st.floats(0.01, 1000), st.sampled_from([None, 3e-4]))
def test_a_factor_changes_the_rate_be_it_set_or_chosen(start: Start, factor: float, rate: float | None) -> None:
    task = Task(start, 600, True, 2_000_000)
    plain = recipe.decide(task, TrainingSettings(learning_rate=rate))
    found = recipe.decide(task, TrainingSettings(learning_rate=rate, learning_rate_multiplier=factor))
    assert found.learning_rate == pytest.approx(min(plain.learning_rate * factor, 1.0))
    assert recipe.decide(task, found) == found, "it is applied once"
