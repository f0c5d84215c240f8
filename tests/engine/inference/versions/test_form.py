"""Merged where memory holds two merged versions, else beside a shared base where the family can: the table."""

import pytest

from engine.inference.versions.form import of_adapter


@pytest.mark.parametrize(
    ("needed", "capacity", "adapts", "expected"),
    [
        (10, 20, True, "merged"),
        (10, 19, True, "unmerged"),
        (10, 9, True, "unmerged"),
        (10, 20, False, "merged"),
        (10, 19, False, "merged"),
    ],
)
def test_memory_decides(needed: int, capacity: int, adapts: bool, expected: str) -> None:
    assert of_adapter(needed, capacity, adapts=adapts) == expected
