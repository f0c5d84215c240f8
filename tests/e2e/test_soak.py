"""An hour of everything that clients do, good and bad, on loopback: nothing fails, nothing grows.

Run by ``make soak``; ``THORD_SOAK_SECONDS`` asks for another time, ``-s`` shows the figures.
"""

import contextlib
import http.client
import json
import os
import random
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from demo.text import Dialogue
from tests.daemon.workers.server.api.test_bodies_malformed import BODIES, RAW
from tests.e2e.service import Service, running

SECONDS = float(os.environ.get("THORD_SOAK_SECONDS", "3600"))
CLIENTS = 8
SWAP_SECONDS = 15.0
LOGGED = ("conversation_log.enabled=true", "conversation_log.feedback_seconds=1", "sessions.max_per_client=50")
REFUSALS = {400, 404, 405, 408, 409, 413, 429, 503}


class Clients:
    """Threads that do one thing after the other, each drawn at random.

    Attributes:
        done: how often each thing was done, and how each request was answered.
        faults: what must not be: no answer, a cut one, an error without a reason.
    """

    def __init__(self, url: str) -> None:
        self.done: Counter[str] = Counter()
        self.faults: list[str] = []
        place = urlsplit(url)
        self._host, self._port = str(place.hostname), int(place.port or 80)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        draws = random.Random(number)
        acts: tuple[Callable[[random.Random], None], ...] = (
            *(self._stream, self._stream, self._whole, self._choices, self._session, self._learned, self._scored),
            *(self._hang_up, self._hang_up, self._malformed, self._garbage, self._half, self._too_long, self._read),
        )
        while not self._over.is_set():
            act = draws.choice(acts)
            self.done[act.__name__.strip("_")] += 1
            try:
                act(draws)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.faults.append(f"{act.__name__}: {type(error).__name__}: {error}")

    def _ask(self, path: str, body: object, method: str = "POST") -> dict[str, object]:
        """The JSON of a whole answer; a refusal must give its reason."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=120)
        try:
            data = body if isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, data, {"content-type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        self.done[f"status {response.status}"] += 1
        found = json.loads(answer) if "json" in str(response.headers["content-type"]) else {}
        refused = response.status in REFUSALS and found["error"]["message"] and found["error"]["code"]
        if response.status != http.client.OK and not refused:
            raise ValueError(f"{path}: {response.status}: {answer[:200]!r}")
        return found if isinstance(found, dict) else {}

    def _open_stream(self, draws: random.Random) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=120)
        body = {"messages": [_said(draws)], "stream": True, "max_tokens": draws.choice((1, 30, 200))}
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        return connection, connection.getresponse()

    def _stream(self, draws: random.Random) -> None:
        connection, response = self._open_stream(draws)
        events = [line[6:].strip() for line in response if line.startswith(b"data: ")]
        connection.close()
        if response.status == http.client.OK:
            versions = {json.loads(event).get("system_fingerprint") for event in events[:-1]}
            if not events or events[-1] != b"[DONE]" or len(versions) != 1:
                raise ValueError(f"cut or mixed after {len(events)} events: {versions}")
        elif response.status not in REFUSALS:
            raise ValueError(f"status {response.status}")

    def _hang_up(self, draws: random.Random) -> None:
        connection, response = self._open_stream(draws)
        for _ in range(draws.randrange(6)):
            response.readline()
        if connection.sock:
            connection.sock.close()
        response.close()

    def _whole(self, draws: random.Random) -> None:
        self._ask("/v1/completions", {"prompt": _words(draws), "max_tokens": 20, "temperature": draws.random() * 2})

    def _choices(self, draws: random.Random) -> None:
        body = {"prompt": [_words(draws), _words(draws)], "n": draws.randrange(1, 9), "max_tokens": 12, "logprobs": 2}
        self._ask("/v1/completions", body)

    def _session(self, draws: random.Random) -> None:
        name = f"s{draws.randrange(100)}"
        self._ask("/v1/chat/completions", {"session": name, "messages": [_said(draws)], "max_tokens": 16})
        if draws.random() < 0.1:
            self._ask(f"/v1/sessions/{name}", b"", "DELETE")

    def _learned(self, draws: random.Random) -> None:
        answer = self._ask("/v1/chat/completions", {"messages": [_said(draws)], "max_tokens": 16})
        if "id" in answer:
            self._ask("/v1/feedback", {"id": answer["id"], "rating": draws.choice(("up", "down"))})

    def _scored(self, draws: random.Random) -> None:
        self._ask("/v1/score", {"text": _words(draws), "top_k": 3})
        self._ask("/v1/embeddings", {"input": [_words(draws), _words(draws)]})

    def _read(self, draws: random.Random) -> None:
        path = draws.choice(("/v1/models", "/v1/sessions", "/metrics", "/healthz", "/openapi.json", "/nowhere"))
        self._ask(path, b"", "GET")

    def _malformed(self, draws: random.Random) -> None:
        path, body = draws.choice(BODIES)
        self._ask(path, body)

    def _too_long(self, draws: random.Random) -> None:
        self._ask("/v1/completions", {"prompt": _words(draws) * 500})

    def _garbage(self, draws: random.Random) -> None:
        self._send_raw(draws.choice(RAW), wait=True)

    def _half(self, draws: random.Random) -> None:
        whole = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{"
        self._send_raw(whole[: draws.randrange(len(whole))], wait=False)

    def _send_raw(self, data: bytes, *, wait: bool) -> None:
        """What is no HTTP may be answered by a reset; what counts is that the connection ends."""
        with (
            socket.create_connection((self._host, self._port), timeout=120) as raw,
            contextlib.suppress(ConnectionError),
        ):
            raw.sendall(data)
            if wait:
                with contextlib.suppress(OSError):  # ENOTCONN, which is no ConnectionError: the reset came first
                    raw.shutdown(socket.SHUT_WR)
            while wait and raw.recv(65536):
                pass


def _words(draws: random.Random) -> str:
    return " ".join(
        draws.choice(("What", "is", "the", "function", "os.path", "for", "in", "Tharsis?")) for _ in range(9)
    )


def _said(draws: random.Random) -> dict[str, str]:
    return {"role": "user", "content": _words(draws)}


def sizes(service: Service) -> dict[str, tuple[float, int]]:
    """Resident MiB and open descriptors of every process."""
    found = {}
    for process in service.family():
        name = next((word for word in process.cmdline() if word.startswith("daemon.")), "thord").split(".")[-1]
        found[name] = (process.memory_info().rss / (1 << 20), process.num_fds())
    return found


def faults_in_log(file: Path) -> list[str]:
    levels = ('"level": "error"', '"level": "critical"', '"level":"error"', '"level":"critical"', "Traceback")
    return [line for line in file.read_text(errors="replace").splitlines() if any(level in line for level in levels)]


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 600)
def test_an_hour_of_everything(tmp_path: Path, library: list[Dialogue], town: list[Dialogue]) -> None:
    with running(tmp_path / "home", *LOGGED) as service:
        service.ingest("library", library)
        assert service.train()["state"] == "promoted"
        service.ingest("town", town)
        assert service.train()["version"] == "000002"
        samples: list[dict[str, tuple[float, int]]] = []
        swaps = 0
        with Clients(service.url()) as clients:
            end = time.monotonic() + SECONDS
            while (left := end - time.monotonic()) > 0:
                time.sleep(min(left, SWAP_SECONDS, SECONDS / 40))
                assert service.ctl("promote", str(1 + swaps % 2), "--force").returncode == 0
                swaps += 1
                samples.append(sizes(service))
        workers = service.status()["workers"]
        logs = {file.name: faults_in_log(file) for file in (tmp_path / "home/logs").glob("*.log")}
    print(f"{swaps} swaps;", ", ".join(f"{name} {count}" for name, count in sorted(clients.done.items())))
    third = len(samples) // 3
    grown = []
    for name in sorted(samples[-1]):
        early, late = (
            [statistics.median(sample[name][what] for sample in part if name in sample) for what in (0, 1)]
            for part in (samples[third : 2 * third], samples[2 * third :])
        )
        print(f"{name}: {early[0]:.0f} to {late[0]:.0f} MiB, {early[1]:.0f} to {late[1]:.0f} descriptors")
        if late[0] > early[0] * 1.05 + 4 or late[1] > early[1] + 20:
            grown.append(name)
    assert clients.faults == []
    assert {name: lines for name, lines in logs.items() if lines} == {}
    assert isinstance(workers, dict)
    assert {name: worker["restarts"] for name, worker in workers.items() if worker["restarts"]} == {}
    assert grown == []
