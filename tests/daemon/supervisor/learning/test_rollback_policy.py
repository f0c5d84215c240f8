"""When a version that no server comes up with is left."""

import pytest

from daemon.supervisor.learning.rollback_policy import DEATH_WINDOW, gives_up


@pytest.mark.parametrize(
    ("deaths", "proven", "expected"),
    [
        ([], False, False),
        ([100.0, 99.0], False, False),
        ([100.0, 99.0, 98.0], False, True),
        ([100.0, 99.0, 98.0], True, False),
        ([100.0, 99.0, 100.0 - DEATH_WINDOW - 1], False, False),
    ],
)
def test_when_to_go_back(deaths: list[float], proven: bool, expected: bool) -> None:
    assert gives_up(deaths, 100.0, proven=proven) is expected
