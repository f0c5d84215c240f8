"""Folders are made with the right modes, and what cannot be made is named."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from control.paths import Paths, at_home
from daemon.supervisor import home


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    places = at_home(tmp_path / "home")
    home.prepare(places)
    return places


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_folders_are_closed_to_strangers_and_the_inbox_open_to_the_group(paths: Paths) -> None:
    assert {mode(folder) for folder in (paths.state, paths.logs, paths.run, paths.versions)} == {0o750}
    assert {mode(paths.inbox / name) for name in ("chats", "conversations", "corpus")} == {0o770}


def test_folders_that_exist_keep_their_modes(paths: Paths) -> None:
    paths.inbox.chmod(0o700)
    home.prepare(paths)
    assert mode(paths.inbox) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write")
def test_a_home_of_somebody_else_is_named() -> None:
    code = "import os, sys; from control.paths import at_home; from pathlib import Path\n"
    code += "from daemon.supervisor import home\nos.seteuid(65534)\nhome.prepare(at_home(Path(sys.argv[1])))"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        done = subprocess.run([sys.executable, "-c", code, folder], check=False, capture_output=True, text=True)
    assert "StartError: cannot" in done.stderr
    assert "Permission denied" in done.stderr
