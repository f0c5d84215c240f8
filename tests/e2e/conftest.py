"""A home of its own for every test, with or without a thord on it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from demo.text import Dialogue, standard_library, tharsis
from tests.e2e.service import Service, running


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A thord that runs with the fast settings."""
    with running(tmp_path / "home") as started:
        yield started


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Service]:
    """A home on which nothing runs yet."""
    home = tmp_path / "home"
    home.mkdir()
    service = Service(home)
    yield service
    family = service.family()
    service.ctl("stop", "--now")
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.fixture(scope="session")
def library() -> list[Dialogue]:
    return standard_library(160)


@pytest.fixture(scope="session")
def town() -> list[Dialogue]:
    return tharsis()[:128]
