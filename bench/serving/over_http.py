"""Ours in a running service, streamed over HTTP."""

import concurrent.futures
import json
import random
import time

import harness
import httpx

from serving.weights import Shape, Weights, draw, hugging_face


def over_http(weights: Weights, shape: Shape, device: str) -> None:
    """The same in a running service, streamed over HTTP."""
    draws = random.Random(3)
    settings = ("inference.precision=bf16", f"inference.device={device}")
    with harness.thord(*settings) as service:
        service.ctl("import", "hf", str(hugging_face(weights)), "--promote")
        transport = httpx.HTTPTransport(uds=str(service.home / "run/server.sock"))
        rows = []
        with httpx.Client(transport=transport, base_url="http://thord", timeout=600) as client:
            for count in (1, 8):
                rounds = [draw(draws, shape, count, shape.prompt) for _ in range(4)]
                found = [_stream_all(client, prompts, shape.answer) for prompts in rounds][1:]
                rate = harness.median([tokens / taken for tokens, taken, _ in found])
                first = harness.median([first for _, _, first in found])
                rows.append([f"{count}", f"{rate:.1f}", f"{first * 1000:.0f} ms"])
        harness.table("ours end to end, streamed over HTTP", rows, ["clients", "tokens a second", "first token"])


def _stream_all(client: httpx.Client, prompts: list[list[int]], length: int) -> tuple[int, float, float]:
    """Tokens, seconds, and the median of the seconds to a first chunk, of clients that come together."""

    def stream(prompt: list[int]) -> tuple[int, float]:
        body = {
            "model": "thor",
            "prompt": prompt,
            "max_tokens": length,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        sent, first, tokens = time.perf_counter(), 0.0, 0
        with client.stream("POST", "/v1/completions", json=body) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    first = first or time.perf_counter() - sent
                    tokens = (json.loads(line[6:]).get("usage") or {}).get("completion_tokens", tokens)
        return tokens, first

    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(len(prompts)) as pool:
        found = list(pool.map(stream, prompts))
    taken = time.perf_counter() - began
    return sum(tokens for tokens, _ in found), taken, harness.median([first for _, first in found])
