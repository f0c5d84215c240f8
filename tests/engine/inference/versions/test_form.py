"""How an adapter serves: the table."""

import pytest

from engine.config.inference import AdapterForm
from engine.inference.versions.form import of_adapter


def test_beside_a_quantized_base_an_adapter_stays_as_it_was_trained() -> None:
    assert of_adapter(10, 20, "auto", adapts=True, quantized=True) == "unmerged"
    assert of_adapter(10, 20, "auto", adapts=False, quantized=True) == "merged"
    assert of_adapter(10, 20, "merged", adapts=True, quantized=True) == "merged"


@pytest.mark.parametrize(
    ("needed", "capacity", "wanted", "adapts", "expected"),
    [
        (10, 20, "auto", True, "merged"),
        (10, 19, "auto", True, "unmerged"),
        (10, 9, "auto", True, "unmerged"),
        (10, 20, "auto", False, "merged"),
        (10, 19, "auto", False, "merged"),
        (10, 20, "unmerged", True, "unmerged"),
        (10, 20, "unmerged", False, "merged"),
        (10, 9, "merged", True, "merged"),
    ],
)
def test_memory_and_the_setting_decide(
    needed: int, capacity: int, wanted: AdapterForm, adapts: bool, expected: str
) -> None:
    assert of_adapter(needed, capacity, wanted, adapts=adapts) == expected
