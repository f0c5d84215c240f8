"""Versions are traced through every step, and those of another line are not."""

from daemon.lineage import made_from

PARENTS = {1: None, 2: 1, 3: 2, 4: None, 5: 3, 6: 4}


def test_every_step_counts_and_another_line_does_not() -> None:
    assert made_from(PARENTS, [2]) == {3, 5}
    assert made_from(PARENTS, [2, 3]) == {5}, "without these themselves"
    assert made_from(PARENTS, []) == set()
