"""What a run weighs, set on a real process, also by somebody who has no privileges."""

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.scheduler_weight import can_be_raised
from daemon.supervisor.fair_share import weights
from daemon.supervisor.fair_share.ladder import LADDER

AUTOGROUP = Path("/proc/self/autogroup")
NOBODY = 65_534
_PR_SET_DUMPABLE = 4


@pytest.fixture
def process() -> Iterator[int]:
    """One in a session of its own, with a child."""
    script = "import subprocess; subprocess.run(['sleep', '60'])"
    started = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children")
    while not children.read_text().split():
        time.sleep(0.01)
    yield started.pid
    os.killpg(started.pid, 9)
    started.wait()


@pytest.mark.skipif(not can_be_raised() or os.geteuid() != 0, reason="only root may set every weight")
def test_a_process_and_its_children_weigh_what_they_are_told(process: int) -> None:
    (child,) = map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
    for weight in (*LADDER, *reversed(LADDER)):
        assert weights.apply(weight, process)
        for one in (process, child):
            assert os.getpriority(os.PRIO_PROCESS, one) == weight.thread
            if AUTOGROUP.exists():
                assert Path(f"/proc/{one}/autogroup").read_text().split()[-1] == str(weight.session)


def climb_as_nobody(answer: int) -> None:
    """In a process that forked just now: what each weight came to, as JSON."""
    os.setsid()
    os.setgroups(())
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1)  # else its files in /proc are root's, until it runs a program
    found = []
    for weight in (*LADDER, LADDER[0]):
        deadline = time.monotonic() + 20
        while not weights.apply(weight, os.getpid()) and time.monotonic() < deadline:
            time.sleep(0.05)
        found.append([AUTOGROUP.read_text().split()[-1], os.getpriority(os.PRIO_PROCESS, 0)])
    os.write(answer, json.dumps([can_be_raised(), found]).encode())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not group sessions")
def test_anybody_may_raise_a_session_of_their_own_and_no_thread() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            climb_as_nobody(writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        raisable, found = json.loads(answer.read())
    os.waitpid(child, 0)
    assert raisable
    assert [session for session, _ in found] == [str(weight.session) for weight in (*LADDER, LADDER[0])]
    assert {thread for _, thread in found} == {LADDER[0].thread}
