"""A cycle on a machine that others keep busy, beside the same cycle alone: ``python bench/bench_busy.py``.

The others are eight processes in one session. Each cycle begins with an empty home and ends with what the gate decided.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import harness
import processor

from demo.text import standard_library, to_json_lines

BUSY = 8
GOAL = 8.0
LONGEST_SECONDS = 1800.0
SETTINGS = ("data.settle_seconds=0.1", "data.max_conversations_per_cycle=1000", "data.min_conversations=1")
BURN = """
import os, sys, time
for _ in range(int(sys.argv[1]) - 1):
    if os.fork() == 0:
        break
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    pass
"""
"""Ends by itself, should the benchmark be killed before it can end it."""


@contextlib.contextmanager
def others(count: int) -> Iterator[None]:
    """So many busy processes in one session of their own."""
    if not count:
        yield
        return
    command = [sys.executable, "-c", BURN, str(count), str(LONGEST_SECONDS)]
    burning = subprocess.Popen(command, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(burning.pid, signal.SIGKILL)
        burning.wait()


class Shares:
    """The least and the last share of a processor that a run was said to have, asked every few seconds."""

    def __init__(self, service: harness.Thord) -> None:
        self._service = service
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.seen: list[float] = []

    def __enter__(self) -> "Shares":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(5.0):
            workers = self._service.json("status")["workers"]
            assert isinstance(workers, dict)
            self.seen += [worker["slowed_to"] for worker in workers.values() if worker["slowed_to"] is not None]


def cycle(steps: int, busy: int) -> tuple[float, int, list[float]]:
    """Seconds that a cycle takes, how many workers died, and the shares of a processor that it was said to have."""
    with harness.thord(*SETTINGS, f"training.max_steps={steps}") as service, others(busy):
        file = service.home / "library.jsonl"
        file.write_text(to_json_lines(standard_library(160)), encoding="utf-8")
        service.ctl("ingest", str(file))
        with Shares(service) as shares:
            seconds = harness.seconds(lambda: service.ctl("train", "--wait"))
        died = service.ctl("events", "--json", "--lines", "1000").count('"worker.died"')
    return seconds, died, shares.seen


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100, help="of the training (100)")
    steps = parser.parse_args().steps
    processor.require_kernels()
    rows, alone = [], 0.0
    for busy in (0, BUSY):
        print(f"a cycle beside {busy} busy processes", file=sys.stderr)
        seconds, died, shares = cycle(steps, busy)
        alone = alone or seconds
        said = f"{100 * min(shares):.0f} to {100 * max(shares):.0f} % of a processor" if shares else "-"
        rows.append([str(busy), f"{seconds:.1f} s", f"{seconds / alone:.1f}", str(died), said])
    head = ["busy processes", "cycle", f"times alone (goal: <= {GOAL:.0f})", "workers killed", "slowed to, it says"]
    harness.table(f"profile tiny, {steps} steps: a cycle beside other people's programs", rows, head)


if __name__ == "__main__":
    main()
