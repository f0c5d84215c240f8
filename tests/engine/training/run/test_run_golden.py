"""Runs give the losses they gave before: what a refactoring must not change. See `golden.py` to change them on purpose.

The tolerance is for other processors; within one, losses are equal.
"""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "golden.json").read_text())


@pytest.fixture(scope="module")
def golden():
    specification = importlib.util.spec_from_file_location("golden", HERE / "golden.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("run", EXPECTED)
def test_losses_are_what_they_were(golden: ModuleType, run: str) -> None:
    assert golden.losses(run) == pytest.approx(EXPECTED[run], rel=2e-4)


def test_every_run_is_expected(golden: ModuleType) -> None:
    assert EXPECTED.keys() == golden.RUNS.keys()
