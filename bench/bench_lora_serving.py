"""Adapters beside one base while they serve: speed of one client, swaps under load, memory of many versions.

    OMP_WAIT_POLICY=PASSIVE python bench/bench_lora_serving.py VERSION [--threads 2] [--seconds 15] [--resident 100]

VERSION is the folder of an imported version (``models/versions/000001`` after ``thorctl import starter``). Adapters of
rank 16 for all its maps, with numbers at random, are published beside it. The engine runs in this process as it does in
the server, but without HTTP: streams are requests that generate greedily and begin anew when they end. A swap is
checking and loading a version that is not in memory, the commit, and the first token of the next request; going back is
the same with a version that is there.
"""

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import processor
import psutil
import torch

from daemon import time_slice
from daemon.workers.server.__main__ import SWITCH_SECONDS
from engine import memory, version
from engine.adapters import adapter as adapters
from engine.adapters.adapter import Adapter, B
from engine.adapters.config import AdapterConfig
from engine.config.inference import Form, InferenceSettings
from engine.device import Placement
from engine.inference.engine import Engine
from engine.inference.requests import Bound, Delta, Event, Failed, Finished, GenerationParams, Request, Sampling
from engine.inference.versions import preparing
from engine.inference.versions.slots import WeightSlots
from engine.manifest import Base, Lineage, version_name

PLACEMENT = Placement(torch.device("cpu"), torch.bfloat16)
ROWS, STREAMS, ANSWER, PROMPT, RANK = 16, 16, 128, 24, 16
SIZE = 1e-4
"""Of the numbers of B: the versions answer differently, and all of them sensibly."""


class Serving:
    """An engine whose thread runs, and versions in memory."""

    def __init__(self, home: Path, most: int) -> None:
        self.slots = WeightSlots(drain_seconds=60.0, most=most)
        self.engine = Engine(self.slots, self, max_queue=256)
        self._home = home
        self._swaps = ThreadPoolExecutor(1)
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        time_slice.take(time_slice.SHORTEST)
        self.engine.run()

    def happened(self, events: Sequence[tuple[Request, Event]]) -> None:
        """As `engine.inference.engine.Listener`."""
        for request, event in events:
            request.receive(event)

    def idle(self) -> None:
        """As `engine.inference.engine.Listener`."""

    def prepare(self, number: int, chosen: Form) -> None:
        """Have a version checked, in memory and warm, as the server does, in a thread of its own."""
        self._swaps.submit(self._prepare, number, chosen).result()

    def _prepare(self, number: int, chosen: Form) -> None:
        if self.slots.holds(number):
            self.slots.admit(number, 0.0)
            return
        folder, settings = self._home / version_name(number), InferenceSettings(max_batch=ROWS)
        preparing.check(folder, self.slots.serving)
        need = preparing.need(folder, PLACEMENT, self.slots, settings, chosen)
        if self.slots.admit(number, 60.0, need):
            self.slots.install(preparing.load(folder, PLACEMENT, ROWS, chosen=chosen, in_memory=self.slots.in_memory))


class Stream:
    """A client that asks again as soon as it has its answer; every gap between two tokens of one is kept.

    One that hears ``every_token`` also hears of those that are no text yet, such as a part of a character.
    """

    def __init__(self, serving: Serving, number: int, *, every_token: bool = False) -> None:
        self.gaps: list[float] = []
        self.failed: list[str] = []
        self.mixed = 0
        self.first: dict[int, float] = {}
        """Of each version, when the first token of an answer that it began came."""
        self._serving = serving
        self._sampling = Sampling(temperature=0.0, top_logprobs=0 if every_token else None)
        self._draws = random.Random(number)
        self._last: float | None = None
        self._version: int | None = None
        self._is_over = False
        self.done = threading.Event()

    def begin(self) -> None:
        """Ask."""
        self._last = self._version = None
        prompt = [self._draws.randrange(100, 40_000) for _ in range(PROMPT)]
        params = GenerationParams(ANSWER, self._sampling)
        self._serving.engine.submit(Request([prompt], params, self._heard, streamed=True))

    def end(self) -> None:
        """Do not ask again."""
        self._is_over = True

    def _heard(self, event: Event) -> None:
        now = time.perf_counter()
        match event:
            case Bound(version=number):
                self.mixed += self._version is not None and self._version != number
                self._version = number
            case Delta():
                if self._last is not None:
                    self.gaps.append(now - self._last)
                elif self._version is not None:
                    self.first.setdefault(self._version, now)
                self._last = now
            case Failed(message=message):
                self.failed.append(message)
                self.done.set()
            case Finished() if self._is_over:
                self.done.set()
            case Finished():
                threading.Thread(target=self.begin).start()  # the engine's thread must not submit


def main() -> None:
    """Measure and print, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--resident", type=int, default=100)
    parser.add_argument("--parts", nargs="+", default=["alone", "swaps", "memory"])
    options = parser.parse_args()
    processor.require_kernels()
    torch.set_num_threads(options.threads)
    sys.setswitchinterval(SWITCH_SECONDS)
    memory.keep_freed_memory()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / version_name(1)).symlink_to(options.version.resolve())
        count = options.resident if "memory" in options.parts else 4
        size = _publish(home, count)
        print("| | |\n|---|---|")
        if "alone" in options.parts:
            _one_client(home, options.seconds)
        if "swaps" in options.parts:
            _swaps(home, options.seconds)
        if "memory" in options.parts:
            _resident(home, count, size)


def _publish(home: Path, count: int) -> int:
    """Adapters 2, 3, … for version 1; the bytes of one's file."""
    found = version.outline(home / version_name(1))
    base = Base(version=1, sha256=found.manifest.sha256)
    new = adapters.new(found.model, AdapterConfig(rank=RANK, alpha=2.0 * RANK), seed=1)
    for number in range(2, count + 2):
        lineage = Lineage(number, 1, None, "", 0, {}, 0.0, {})
        folder = home / version_name(number)
        version.publish(folder, _moved(new, number), found.config.model, found.tokenizer, lineage, base=base)
    return (home / version_name(2) / adapters.FILE).stat().st_size


def _moved(new: Adapter, seed: int) -> Adapter:
    draw = torch.Generator().manual_seed(seed)
    return new.with_factors(
        {
            name: torch.randn(factor.shape, generator=draw) * SIZE if name.endswith(B) else factor
            for name, factor in new.factors.items()
        }
    )


def _one_client(home: Path, seconds: float) -> None:
    """Milliseconds a token of one client, merged and unmerged in turns."""
    sides: dict[Form, Serving] = {}
    for chosen in ("merged", "unmerged"):
        sides[chosen] = Serving(home, most=4)
        sides[chosen].prepare(2, chosen)
        sides[chosen].slots.commit(2)
    found: dict[Form, list[float]] = {chosen: [] for chosen in sides}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for chosen, serving in sides.items():
            client = Stream(serving, 1)
            client.end()
            client.begin()
            client.done.wait()
            found[chosen].append(statistics.median(client.gaps))
    merged, unmerged = (statistics.median(found[chosen]) * 1e3 for chosen in ("merged", "unmerged"))
    print(f"| one client, ms a token, merged and unmerged | {merged:.2f}, {unmerged:.2f} ({merged / unmerged:.2f}) |")


def _swaps(home: Path, seconds: float) -> None:
    """Streams without pause: first undisturbed, then while versions come and go."""
    serving = Serving(home, most=8)
    serving.prepare(2, "unmerged")
    serving.slots.commit(2)
    streams = [Stream(serving, number) for number in range(STREAMS)]
    for stream in streams:
        stream.begin()
    time.sleep(2.0)
    quiet = _gaps(streams, seconds)
    for kind, numbers in (("a new version", (3, 4, 5)), ("a version in memory", (2, 3, 4, 5) * 2)):
        loads: list[float] = []
        swaps: list[float] = []
        gaps: list[float] = []
        for number in numbers:
            for stream in streams:
                stream.first.pop(number, None)
            began = time.perf_counter()
            serving.prepare(number, "unmerged")
            committed = time.perf_counter()
            loads.append(committed - began)
            serving.slots.commit(number)
            asked = Stream(serving, number, every_token=True)
            asked.end()
            asked.begin()
            asked.done.wait()
            swaps.append(min(first for one in (*streams, asked) if (first := one.first.get(number))) - committed)
            gaps += _gaps(streams, seconds / 8)
        print(
            f"| swap to {kind}, {STREAMS} streams: load, commit to its first token, most, in ms "
            f"| {statistics.median(loads) * 1e3:.1f}, {max(swaps) * 1e3:.1f} |"
        )
        print(
            f"| p99 between tokens, undisturbed and meanwhile, ms | {_p99(quiet) * 1e3:.1f}, {_p99(gaps) * 1e3:.1f} "
            f"({_p99(gaps) / _p99(quiet):.2f}) |"
        )
    for stream in streams:
        stream.end()
    for stream in streams:
        stream.done.wait()
    failed, mixed = sum(len(stream.failed) for stream in streams), sum(stream.mixed for stream in streams)
    print(f"| failed, mixed | {failed}, {mixed} |")


def _gaps(streams: list[Stream], seconds: float) -> list[float]:
    """Gaps of all streams since the last call, and for so many seconds more."""
    time.sleep(seconds)
    found = [gap for stream in streams for gap in stream.gaps]
    for stream in streams:
        stream.gaps.clear()
    return found


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def _resident(home: Path, count: int, size: int) -> None:
    """Memory of the base alone, and with so many adapters beside it that have all answered."""
    serving = Serving(home, most=count + 1)
    serving.prepare(1, "whole")
    serving.slots.commit(1)
    _answer(serving)
    base = _own_memory()
    for number in range(2, count + 2):
        serving.prepare(number, "unmerged")
        serving.slots.commit(number)
    _answer(serving)
    all_together = _own_memory()
    held = sum(serving.slots.held_bytes)
    there = len(serving.slots.addressable)
    allowed = base + 1.1 * count * size
    print(
        f"| {there} versions in memory: MB with the base alone, with all, allowed (base, adapters as on disk and a "
        f"tenth) | {base / 1e6:.0f}, {all_together / 1e6:.0f}, {allowed / 1e6:.0f} |"
    )
    print(f"| an adapter on disk, weights and caches in memory, MB | {size / 1e6:.1f}, {held / 1e6:.0f} |")


def _answer(serving: Serving) -> None:
    client = Stream(serving, 1)
    client.end()
    client.begin()
    client.done.wait()


def _own_memory() -> int:
    memory.return_freed_memory()
    return int(psutil.Process().memory_full_info().uss)


if __name__ == "__main__":
    main()
