"""A hundred swaps under sixteen clients that stream without pause: what the design promises, and in figures.

Run by ``make soak``; ``-s`` shows the figures. ``THORD_SOAK_SWAPS`` asks for fewer or more swaps.
"""

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psutil
import pytest

from daemon.messages import Prepare, Prepared
from engine.config.model import ModelSettings
from tests.daemon.workers.server.harness import Server, StartServer, make_version, server_settings
from tests.daemon.workers.server.load import PROMPTS, expected_answers

SWAPS = int(os.environ.get("THORD_SOAK_SWAPS", "100"))
CLIENTS = 16
TOKENS = 12
STEADY_SECONDS = 8.0
VERSIONS = 4
MODEL = ModelSettings(hidden=384, layers=6, heads=6, kv_heads=2, feed_forward=1024, context=256)
"""14 million weights: loading one takes long enough to be felt."""


@dataclass
class Streams:
    """Clients in one event loop, in a thread of its own: answers, faults, and when each token came.

    Attributes:
        gaps: for each token but an answer's first, when it came, and seconds since the one before.
    """

    server: Server
    answers: list[tuple[str, str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    gaps: list[tuple[float, float]] = field(default_factory=list)

    def __enter__(self) -> "Streams":
        self._over = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()

    def wait_for(self, version: int, count: int = 1) -> None:
        deadline = time.monotonic() + 60
        seen = len(self.answers)
        while sum(each[0] == f"{version:06d}" for each in self.answers[seen:]) < count:
            assert time.monotonic() < deadline, (self.faults[-3:], self.answers[-3:])
            time.sleep(0.01)

    async def _all(self) -> None:
        await asyncio.gather(*(self._client(number) for number in range(CLIENTS)))

    async def _client(self, number: int) -> None:
        while not self._over:
            number += 1
            try:
                await self._one(PROMPTS[number % len(PROMPTS)])
            except Exception as error:
                self.faults.append(f"{type(error).__name__}: {error}")

    async def _one(self, prompt: str) -> None:
        """HTTP by hand: a client library would take more of two cores than the server."""
        body = json.dumps(
            {
                "prompt": prompt,
                "max_tokens": TOKENS,
                "temperature": 0,
                "ignore_eos": True,
                "stream": True,
                "logprobs": 0,
            }
        ).encode()
        place = urlsplit(self.server.url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        fields = f"host: localhost\r\nconnection: close\r\ncontent-length: {len(body)}"
        head = f"POST /v1/completions HTTP/1.1\r\n{fields}\r\n\r\n"
        writer.write(head.encode() + body)
        events: list[bytes] = []
        last = 0.0
        async for line in reader:
            if line.startswith(b"data: "):
                now = time.monotonic()
                if last:
                    self.gaps.append((now, now - last))
                last = now
                events.append(line[6:].strip())
        writer.close()
        if not events or events[-1] != b"[DONE]":
            raise ValueError(f"refused or cut after {len(events)} events")
        chunks = [json.loads(event) for event in events[:-1]]
        versions = {chunk["system_fingerprint"] for chunk in chunks}
        if len(versions) != 1:
            raise ValueError(f"mixed: {versions}")
        self.answers.append((versions.pop(), prompt, "".join(chunk["choices"][0]["text"] for chunk in chunks)))


def p99(gaps: Sequence[float]) -> float:
    return sorted(gaps)[int(0.99 * len(gaps))]


def megabytes(server: Server) -> float:
    return psutil.Process(server.worker.pid).memory_info().rss / (1 << 20)


@pytest.mark.soak
def test_a_hundred_swaps_under_sixteen_streams(
    start_server: StartServer, tmp_path: object, record_property: Callable[[str, object], None]
) -> None:
    settings = server_settings(inference={"max_batch": CLIENTS, "threads": 0})
    server = start_server(versions=0, settings=settings)
    for number in range(1, VERSIONS + 1):
        make_version(server.paths.version(number), number, server.tokenizer, MODEL)
    expected = expected_answers(server, range(1, VERSIONS + 1), TOKENS)
    server.promote(1)
    loads: list[tuple[float, float]] = []
    with Streams(server) as streams:
        for number in (2, 3, 4, 1):  # warm: two versions in memory, every buffer made
            server.promote(number)
            streams.wait_for(number, count=CLIENTS)
        before = megabytes(server)
        streams.gaps.clear()
        time.sleep(STEADY_SECONDS)
        steady = [gap for _, gap in streams.gaps]
        for swap in range(SWAPS):
            number = 1 + (swap + 1) % VERSIONS
            began = time.monotonic()
            server.worker.ask(Prepare(version=number), Prepared)
            loads.append((began, time.monotonic()))
            server.promote(number)
            streams.wait_for(number, count=CLIENTS)  # hardly anybody is on the version before
        after = megabytes(server)

    during = [gap for at, gap in streams.gaps if any(begin < at and at - gap < end for begin, end in loads)]
    figures = {
        "swaps": SWAPS,
        "answers": len(streams.answers),
        "faults": len(streams.faults),
        "p99 between tokens, steady, ms": round(p99(steady) * 1000, 1),
        "p99 between tokens, during a load, ms": round(p99(during) * 1000, 1),
        "ratio": round(p99(during) / p99(steady), 2),
        "a load, median, ms": round(sorted(end - begin for begin, end in loads)[SWAPS // 2] * 1000),
        "resident before, after, MiB": (round(before), round(after)),
    }
    for name, value in figures.items():
        print(f"{name}: {value}", flush=True)
        record_property(name, value)
    assert streams.faults == []
    wrong = [each for each in streams.answers if each[2] != expected[each[0], each[1]]]
    assert wrong == []
    assert {each[0] for each in streams.answers} == {f"{number:06d}" for number in range(1, VERSIONS + 1)}
    assert after <= before * 1.05
    assert p99(during) <= 2 * p99(steady)
