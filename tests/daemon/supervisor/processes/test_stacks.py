"""What faulthandler really prints, as the log has it."""

import subprocess
import sys

from daemon.supervisor.processes.stacks import StackEntry, Stacks

SCRIPT = """
import faulthandler, sys, threading
faulthandler.enable()
def outer():
    inner()
def inner():
    print("before", file=sys.stderr, flush=True)
    faulthandler.dump_traceback(all_threads=True)
    print("after", file=sys.stderr, flush=True)
waiting = threading.Event()
thread = threading.Thread(target=waiting.wait)
thread.start()
outer()
waiting.set()
"""


def entries(lines: list[bytes]) -> list[StackEntry]:
    stacks = Stacks()
    return [*(entry for line in lines for entry in stacks.take(line)), *stacks.end()]


def test_each_thread_is_one_entry_with_the_innermost_call_last() -> None:
    printed = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True).stderr
    found = entries([line for line in printed.splitlines() if line.strip()])
    assert [entry.text for entry in found if not entry.is_stack] == ["before", "after"]
    waits, dumps = (entry.text for entry in found if entry.is_stack)
    assert waits.index("_bootstrap (threading.py:") < waits.index("> wait (threading.py:")
    assert dumps.endswith("was in <module> (<string>:13) > outer (<string>:5) > inner (<string>:8)")


def test_other_lines_stay_as_they_are() -> None:
    lines = [b"a warning", b'  File "x.py", line 1 in f', b"\xff no UTF-8"]
    assert [entry.text for entry in entries(lines)] == ["a warning", '  File "x.py", line 1 in f', "\\xff no UTF-8"]


def test_a_stack_that_is_cut_off_is_shown_as_far_as_it_goes() -> None:
    head = b"Current thread 0x00007f (most recent call first):"
    assert entries([head, b'  File "/a/b.py", line 7 in f']) == [
        StackEntry("thread 0x00007f was in f (b.py:7)", is_stack=True)
    ]
