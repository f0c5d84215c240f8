"""What the kernel says a process has used, against processes of which it is known."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.supervisor.fair_share import usage

Start = Callable[[str], int]


@pytest.fixture
def start() -> Iterator[Start]:
    """``start(code)``: a process that runs it and then says a word; its number."""
    processes = []

    def start_one(code: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-c", f"{code}\nprint('done', flush=True)\nimport time; time.sleep(60)"],
            stdout=subprocess.PIPE,
        )
        processes.append(process)
        assert process.stdout
        process.stdout.readline()
        return process.pid

    yield start_one
    for process in processes:
        process.kill()
        process.communicate()


COMPUTE = "import time\nwhile time.process_time() < 0.3: pass"


def test_processor_time_is_that_of_all_threads_also_of_ended_ones(start: Start) -> None:
    pid = start(
        "import threading, time\n"
        "def work():\n    while time.thread_time() < 0.2: pass\n"
        "threads = [threading.Thread(target=work) for _ in range(2)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()"
    )
    assert 0.35 < usage.of_process(pid).computed < 2.0


def test_who_sleeps_neither_computes_nor_waits(start: Start) -> None:
    pid = start("")
    before = usage.of_process(pid)
    span = usage.between(before, usage.of_process(pid))
    assert span.computed < 0.05
    assert span.waited < 0.05
    assert span.read == 0


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this kernel does not count waiting")
def test_who_is_kept_from_the_processor_waits_for_it(start: Start) -> None:
    """Two threads of two processes on one processor: either waits while the other computes."""
    alone = f"import os\nos.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})\n"
    start(f"{alone}import threading\ndef work():\n    while True: pass\nthreading.Thread(target=work).start()")
    waited = usage.of_process(start(alone + COMPUTE)).waited
    assert sum(waited.values()) > 0.02


GRANDCHILD = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '60'])"])
children = pathlib.Path(f"/proc/{child.pid}/task/{child.pid}/children")
while not children.read_text().split():
    time.sleep(0.01)
"""


def test_descendants_are_all_that_were_started(start: Start) -> None:
    found = list(usage.descendants(start(GRANDCHILD)))
    assert len(found) == 2
    for one in found:
        os.kill(one, signal.SIGKILL)


def test_a_process_that_is_gone_has_used_nothing() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    used = usage.of_process(ended.pid)
    assert (used.computed, used.waited, used.read) == (0.0, {}, 0)
    assert usage.threads(ended.pid) == []


def test_the_machine_is_at_least_as_busy_as_this_process() -> None:
    before = usage.busy_seconds()
    own = os.times().user
    while os.times().user - own < 0.1:
        pass
    assert usage.busy_seconds() - before >= 0.05
