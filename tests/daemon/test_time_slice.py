"""The kernel's own word for the time slices of threads."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from daemon import time_slice


def slice_seconds(thread: int) -> float:
    try:
        lines = Path(f"/proc/{thread}/sched").read_text().splitlines()
    except OSError:
        lines = []
    found = [line.split(":")[1] for line in lines if line.startswith("se.slice ")]
    if not found or tuple(map(int, os.uname().release.split(".")[:2])) < (6, 12):
        pytest.skip("NO TIME SLICES HERE: they need Linux 6.12, and a kernel that tells of them in /proc/PID/sched")
    return int(found[0]) / 1e9


def test_of_another_process_and_what_it_starts() -> None:
    with subprocess.Popen(["sh", "-c", "read go; sleep 60 & echo $!; wait"], stdin=-1, stdout=-1, text=True) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        before = slice_seconds(shell.pid)
        time_slice.take(time_slice.LONGEST, shell.pid)
        assert slice_seconds(shell.pid) == time_slice.LONGEST > before
        print(file=shell.stdin, flush=True)
        child = int(shell.stdout.readline())
        assert slice_seconds(child) == time_slice.LONGEST
        os.kill(child, 9)


def test_of_the_calling_thread_and_not_of_others() -> None:
    found = []

    def run() -> None:
        time_slice.take(time_slice.SHORTEST)
        found.append(slice_seconds(threading.get_native_id()))

    before = slice_seconds(os.getpid())
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [time_slice.SHORTEST]
    assert slice_seconds(os.getpid()) == before


def test_a_process_that_is_gone() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    with pytest.raises(ProcessLookupError):
        time_slice.take(time_slice.LONGEST, gone.pid)
