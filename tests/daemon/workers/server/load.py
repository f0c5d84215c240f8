"""Clients that ask without pause while versions come and go."""

import json
import threading
import time

import httpx

from tests.daemon.workers.server.harness import Server, greedy

PROMPTS = ("The quick", "Der große Deich", "日本", "a", "lazy dog. The quick brown fox jumps over")


class Load:
    """Clients that stream greedy answers without pause; every fault is kept, and every answer with its version."""

    def __init__(self, server: Server, clients: int, tokens: int = 24) -> None:
        self.faults: list[str] = []
        self.answers: list[tuple[str, str, str]] = []
        self._tokens = tokens
        self._server = server
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, version: str) -> None:
        deadline = time.monotonic() + 30
        while not any(each[0] == version for each in self.answers[-50:]):
            assert time.monotonic() < deadline, (self.faults, self.answers[-3:])
            time.sleep(0.005)

    def check(self, expected: dict[tuple[str, str], str]) -> None:
        """Nobody met a fault, and every answer is the one that its version gives; all of these versions answered."""
        assert self.faults == []
        assert {version for version, _, _ in self.answers} == {version for version, _ in expected}
        for version, prompt, text in self.answers:
            assert text == expected[version, prompt]

    def _client(self, number: int) -> None:
        with self._server.http() as client:
            turn = number
            while not self._over.is_set():
                turn += 1
                try:
                    self._one(client, PROMPTS[turn % len(PROMPTS)])
                except Exception as error:
                    self.faults.append(f"{type(error).__name__}: {error}")

    def _one(self, client: httpx.Client, prompt: str) -> None:
        body = {
            "prompt": prompt,
            "max_tokens": self._tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
        }
        with client.stream("POST", "/v1/completions", json=body) as answer:
            if answer.status_code != 200:
                raise ValueError(f"{answer.status_code}: {answer.read()!r}")
            events = [line[6:] for line in answer.iter_lines() if line]
        if events[-1] != "[DONE]":
            raise ValueError(f"cut: {events[-1]}")
        chunks = [json.loads(event) for event in events[:-1]]
        versions = {chunk["system_fingerprint"] for chunk in chunks} | {answer.headers["x-thord-version"]}
        if len(versions) != 1:
            raise ValueError(f"mixed: {versions}")
        self.answers.append((versions.pop(), prompt, "".join(chunk["choices"][0]["text"] for chunk in chunks)))


def expected_answers(server: Server, versions: range, tokens: int = 24) -> dict[tuple[str, str], str]:
    """What an isolated plain loop on each version says."""
    found = {}
    for number in versions:
        loaded = server.load(number)
        for prompt in PROMPTS:
            ids = greedy(loaded, server.text_prompt(prompt), tokens)
            found[f"{number:06d}", prompt] = server.tokenizer.decode(ids)
    return found
