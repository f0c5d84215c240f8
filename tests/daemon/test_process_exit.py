"""A process that leaves: what it said is not lost, and nothing is taken apart."""

import subprocess
import sys
from pathlib import Path

_PROCESS = """
import atexit, logging, logging.handlers, sys
from daemon.process_exit import leave
to_file = logging.FileHandler(sys.argv[1])
logging.getLogger().addHandler(logging.handlers.MemoryHandler(100, target=to_file))
logging.getLogger().warning("the last line")
atexit.register(print, "taken apart")
print("said", end="")
leave(3)
"""


def test_what_was_printed_and_logged_is_written_and_the_status_is_the_one_given(tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = subprocess.run([sys.executable, "-c", _PROCESS, log], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "said", "")
    assert log.read_text() == "the last line\n"
