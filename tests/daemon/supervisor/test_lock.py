"""One supervisor holds a state folder, for as long as its process lives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from control.paths import Paths, at_home
from daemon.supervisor import home
from daemon.supervisor.lock import Lock
from daemon.supervisor.start_error import StartError


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    places = at_home(tmp_path / "home")
    home.prepare(places)
    return places


def test_the_lock_is_held_by_one_and_freed_by_the_end_of_the_process(paths: Paths) -> None:
    code = "import sys; from control.paths import at_home; from pathlib import Path\n"
    code += "from daemon.supervisor.lock import Lock\nlock = Lock(at_home(Path(sys.argv[1])))\n"
    code += "print(flush=True)\ninput()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, paths.state], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin
    assert holder.stdout
    holder.stdout.readline()
    with pytest.raises(StartError, match=rf"already running .*\(pid {holder.pid}\)"):
        Lock(paths)
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    lock = Lock(paths)
    assert paths.pid_file.read_text() == f"{os.getpid()}\n"
    lock.close()
    assert paths.pid_file.read_text() == ""
    Lock(paths).close()


def test_two_that_keep_their_sockets_apart_do_not_share_a_state(paths: Paths, tmp_path: Path) -> None:
    """As with and without XDG_RUNTIME_DIR, which a job of cron does not have."""
    elsewhere = paths._replace(run=tmp_path / "elsewhere")
    home.prepare(elsewhere)
    lock = Lock(paths)
    with pytest.raises(StartError, match=rf"already running on {paths.state} \(pid {os.getpid()}\)"):
        Lock(elsewhere)
    assert elsewhere.pid_file.read_text() == ""
    lock.close()
    Lock(elsewhere).close()
