"""Where epochs end, and what they come to, against counting rows one by one."""

import math

from hypothesis import given
from hypothesis import strategies as st

from engine.training.epochs import Epochs, EpochSoFar


@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 50))
def test_an_epoch_ends_with_the_step_that_takes_its_last_row(rows: int, rows_per_step: int, steps: int) -> None:
    epochs = Epochs(rows, rows_per_step, steps)
    taken, ended = 0, 0
    for step in range(1, steps + 1):
        first_row = taken
        taken += rows_per_step
        ends = taken // rows > ended
        ended = taken // rows
        assert epochs.ends(step) is ends
        assert epochs.of(step) == (max(ended, first_row // rows + 1))
        assert epochs.samples(step) == taken
    assert epochs.total == epochs.of(steps)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 6))
def test_a_run_of_so_many_epochs_ends_with_the_last_of_them(rows: int, rows_per_step: int, number: int) -> None:
    steps = math.ceil(number * rows / rows_per_step)
    epochs = Epochs(rows, rows_per_step, steps)
    assert epochs.ends(steps)
    assert epochs.total == steps * rows_per_step // rows >= number


def test_epochs_without_improvement_are_counted_where_something_was_measured() -> None:
    epochs = Epochs(rows=4, rows_per_step=2, steps=8)
    so_far, said = EpochSoFar(), []
    for step, validation in enumerate([(), (3.0, True), (), (3.5, False), (), (), (), (math.nan, False)], start=1):
        so_far = so_far.after_step(float(step), supervised=step)
        if validation:
            so_far = so_far.after_validation(validation[0], improved=validation[1])
        if epochs.ends(step):
            figures, so_far = so_far.ended(epochs, step, seconds=step * 0.5, best_validation_loss=3.0)
            said.append(figures)
    assert [(one.epoch, one.step, one.samples) for one in said] == [(1, 2, 4), (2, 4, 8), (3, 6, 12), (4, 8, 16)]
    assert [one.without_improvement for one in said] == [0, 1, 1, 2]
    assert [one.validation_loss for one in said] == [3.0, 3.5, None, None]
    assert said[1].train_loss == (3 * 3 + 4 * 4) / 7
    assert {one.samples_per_second for one in said} == {4.0}
