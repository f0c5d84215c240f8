"""How far apart attempts are."""

import pytest

from daemon.supervisor.jobs import attempts


@pytest.mark.parametrize(
    ("attempts_without_progress", "seconds"), [(0, 0.0), (1, 5.0), (2, 10.0), (7, 320.0), (10_000, 600.0)]
)
def test_attempts_that_lead_nowhere_are_further_and_further_apart_but_not_for_ever(
    attempts_without_progress: int, seconds: float
) -> None:
    assert attempts.pause_seconds(5.0, attempts_without_progress) == seconds
