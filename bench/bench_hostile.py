"""What others notice of hostile structures: ``python bench/bench_hostile.py (--url URL | --from FILE.gguf)``.

Four clients stream answers of the starter model without pause. Beside them another one asks, in turn, either for free
answers of the same length or for hostile structures: schemas, regular expressions, grammars and tools that cost as
much as they can. Compared is the time between two tokens of the four at the 99th percentile. The goal: at most 1.5
times, and each hostile request is answered within a bounded time, whole or by a 400.
"""

import argparse
import contextlib
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import harness
import httpx
import processor

GOAL = 1.5
STREAMS = 4
TOKENS = 120
_LONGEST_SECONDS = 15.0
Body = Mapping[str, object]


def _branching(levels: int) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string"}
    for level in range(levels):
        schema = {"anyOf": [schema, {"oneOf": [schema, {"type": "object", "properties": {f"k{level}": {}}}]}]}
    return schema


def _tool(parameters: dict[str, object], name: str = "tool") -> dict[str, object]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


_PATTERNS = {f"k{n}": {"type": "string", "pattern": f"[a-z]{{{n}}}x.*y"} for n in range(800)}
HOSTILE: list[Body] = [
    {"guided_regex": "(a{1,1000}){1,1000}"},
    {"guided_regex": "(" + "a?" * 500 + ")" + "a" * 500},
    {"guided_regex": "(.*a.{50}|.*b.{60}){2}"},
    {"guided_regex": "|".join(f".*{number}.*" for number in range(300))},
    {"guided_json": {"type": "string", "pattern": "^(a|b|c|d){1,500}.*x.{200}$"}},
    {"guided_json": {"properties": _PATTERNS}},
    {"guided_json": {"type": "array", "minItems": 100_000, "items": _branching(5)}},
    {"guided_json": _branching(6)},
    {"guided_grammar": 'start: a*\na: b* c*\nb: a | "x"\nc: a | b | "y"\n'},
    {"guided_grammar": 'start: start start | "x" start | "x"\n'},
    {"tools": [_tool({"properties": _PATTERNS})], "tool_choice": "required"},
    {"tools": [_tool({"properties": {"a": _branching(5)}}, f"tool_{n}") for n in range(100)]},
]


class Streams:
    """Clients that stream without pause.

    Attributes:
        gaps: the seconds between two tokens.
    """

    def __init__(self, url: str) -> None:
        self.gaps: list[float] = []
        self._url = url
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._stream) for _ in range(STREAMS)]

    def __enter__(self) -> "Streams":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _stream(self) -> None:
        body = {"prompt": "Once upon a time", "max_tokens": TOKENS, "ignore_eos": True, "stream": True}
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._over.is_set():
                last = None
                with client.stream("POST", "/v1/completions", json=body) as answer:
                    for _ in (line for line in answer.iter_lines() if line.startswith("data: {")):
                        now = time.perf_counter()
                        if last is not None:
                            self.gaps.append(now - last)
                        last = now


def beside(url: str, seconds: float, bodies: Iterator[Body], note: Callable[[int, float], None]) -> list[float]:
    """The gaps of the streams while another client asks for these in turn."""
    with Streams(url) as streams, httpx.Client(base_url=url, timeout=60) as client:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            asked = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 40, **next(bodies)}
            began = time.perf_counter()
            answer = client.post("/v1/chat/completions", json=asked)
            note(answer.status_code, time.perf_counter() - began)
    return streams.gaps


def main() -> int:
    """Measure in turn, print, and say whether the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--url", help="of a thord that serves")
    given.add_argument("--from", dest="source", metavar="FILE", help="the starter's GGUF file")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    processor.require_kernels()
    with contextlib.ExitStack() as stack:
        url: str = options.url
        if options.source:
            service = stack.enter_context(harness.thord())
            service.ctl("import", "starter", "--promote", "--from", options.source)
            url = json.loads(service.ctl("status", "--json"))["api"]["url"]
        return compare(url, options.seconds, options.rounds)


def compare(url: str, seconds: float, rounds: int) -> int:
    free: list[Body] = [{}]
    ordinary, hostile = itertools.cycle(free), itertools.cycle(HOSTILE)
    shares, statuses, longest = [], dict[int, int](), 0.0
    rows = []

    def note(status: int, took: float) -> None:
        nonlocal longest
        statuses[status] = statuses.get(status, 0) + 1
        longest = max(longest, took)

    for number in range(rounds):
        before = harness.percentile(beside(url, seconds, ordinary, lambda *_: None), 0.99)
        after = harness.percentile(beside(url, seconds, hostile, note), 0.99)
        shares.append(after / before)
        rows.append([f"{number + 1}", f"{before * 1000:.1f} ms", f"{after * 1000:.1f} ms", f"{after / before:.2f}"])
    harness.table("between tokens, p99", rows, ["round", "beside free answers", "beside hostile ones", "share"])
    print(f"hostile requests by status: {statuses}; the longest took {longest:.1f} s")
    reached = harness.median(shares) <= GOAL and longest <= _LONGEST_SECONDS and set(statuses) <= {200, 400}
    print(f"goal of {GOAL}: {harness.verdict(reached=reached)}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
