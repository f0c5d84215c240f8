"""A stand-in for thord on a home of its own, and the real thorctl to talk to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control.stand_in import Ctl, StandIn, serving


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    with serving(tmp_path / "home") as answering:
        yield answering


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    return Ctl(tmp_path / "home")
