"""What the kernel says of the server's threads."""

import re
from pathlib import Path

import pytest

from tests.daemon.workers.server.harness import StartServer

SLICE = re.compile(r"^se\.slice\s*:\s*(\d+)$", re.MULTILINE)


def slices(pid: int) -> list[int]:
    """Nanoseconds, of every thread."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(found[1]) for found in (SLICE.search((thread / "sched").read_text()) for thread in threads) if found]


@pytest.mark.skipif(
    not Path("/proc/self/sched").exists() or not SLICE.search(Path("/proc/self/sched").read_text()),
    reason="NOT TESTED: this kernel does not say how long time slices are",
)
def test_who_answers_has_shorter_ones_than_who_loads_versions(start_server: StartServer) -> None:
    server = start_server()
    found = slices(server.worker.pid)
    assert found.count(100_000) >= 2, "the main thread, and the engine's"
    assert max(found) > 100_000, "the others keep what they had"
