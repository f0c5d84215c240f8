"""Clients that stream answers without pause, and notice every fault in one."""

import http.client
import json
import threading
import time
from collections import Counter
from types import TracebackType
from urllib.parse import urlsplit


class Traffic:
    """``clients`` threads, each streaming one answer after the other from the public API, ``pause`` seconds apart.

    Attributes:
        by_version: how many whole answers each version gave.
        faults: what went wrong, one line each: refused, cut off, or two versions in one answer.
    """

    def __init__(
        self, url: str, clients: int, pause: float = 0.0, question: str = "What is the function os.path.join for?"
    ) -> None:
        self.by_version: Counter[str] = Counter()
        self.faults: list[str] = []
        self._pause = pause
        self._question = question
        self._host = urlsplit(url).netloc
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def until_version_answers(self, version: str, seconds: float) -> None:
        """Wait until ``version`` has given an answer, or the time is over."""
        deadline = time.monotonic() + seconds
        with self._changed:
            self._changed.wait_for(lambda: self.by_version[version] > 0, deadline - time.monotonic())

    def summary(self) -> str:
        """One line for people."""
        parts = [f"{count} by version {version}" for version, count in sorted(self.by_version.items())]
        return f"{', '.join(parts)}; {len(self.faults)} failed, cut or mixed"

    def _client(self, number: int) -> None:
        turn = 0
        while not self._over.is_set():
            turn += 1
            try:
                version = self._stream_one(f"{self._question} ({number}.{turn})")
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.faults.append(f"{type(error).__name__}: {error}")
            else:
                with self._changed:
                    self.by_version[version] += 1
                    self._changed.notify_all()
            self._over.wait(self._pause)

    def _stream_one(self, question: str) -> str:
        """Stream one answer to its end.

        Raises:
            ValueError: it was refused, ended early, or named two versions.
        """
        body = {"model": "thor", "messages": [{"role": "user", "content": question}], "max_tokens": 24, "stream": True}
        connection = http.client.HTTPConnection(self._host, timeout=60)
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise ValueError(f"status {response.status}: {response.read(300)!r}")
            header = response.headers["x-thord-version"]
            events = [line[6:].strip() for line in response if line.startswith(b"data: ")]
        finally:
            connection.close()
        if not events or events[-1] != b"[DONE]":
            raise ValueError(f"cut off after {len(events)} events")
        versions = {str(json.loads(event).get("system_fingerprint")) for event in events[:-1]}
        if len(versions) != 1 or header not in versions.pop():
            raise ValueError(f"header says {header}, the events name {versions}")
        return header
