"""The home of a small thord."""

from pathlib import Path

import pytest

from control.paths import Paths, at_home


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return at_home(tmp_path)
