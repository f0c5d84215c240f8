"""What clients notice of a training run on the same machine: time between tokens without one, and with one.

``python bench/bench_contention.py [--preset NAME]``: the size of the model that answers and that is trained. Without
a run and beside one take turns; what is printed are medians over rounds.
"""

import argparse
import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import harness
import processor

from demo.text import standard_library, tharsis, to_json_lines

SECONDS = 5.0
ROUNDS = 3
CLIENTS = (1, 4)
GOAL = 1.2
SETTINGS = ("data.settle_seconds=0.1", "data.max_conversations_per_cycle=1000", "data.min_conversations=1")


async def _client(host: str, port: int, until: float, gaps: list[float]) -> None:
    body = json.dumps(
        {"prompt": "What is", "max_tokens": 200, "temperature": 0, "ignore_eos": True, "stream": True}
    ).encode()
    while time.monotonic() < until:
        reader, writer = await asyncio.open_connection(host, port)
        fields = f"host: localhost\r\nconnection: close\r\ncontent-length: {len(body)}"
        head = f"POST /v1/completions HTTP/1.1\r\n{fields}\r\n\r\n"
        writer.write(head.encode() + body)
        last = 0.0
        status = await reader.readline()
        if b" 200 " not in status:
            raise SystemExit(f"no stream: {(status + await reader.read()).decode(errors='replace')}")
        async for line in reader:
            if line.startswith(b"data: {"):
                now = time.monotonic()
                if last:
                    gaps.append(now - last)
                last = now
        writer.close()


def between_tokens(url: str, clients: int) -> list[float]:
    """Seconds between tokens of streams that go on for a while."""
    place = urlsplit(url)
    gaps: list[float] = []

    async def all_clients() -> None:
        until = time.monotonic() + SECONDS
        await asyncio.gather(
            *(_client(str(place.hostname), int(place.port or 80), until, gaps) for _ in range(clients))
        )

    asyncio.run(all_clients())
    return gaps


def trains(service: harness.Thord) -> bool:
    """Whether optimizer steps are being made."""
    cycle = service.json("status")["cycle"]
    if not isinstance(cycle, dict) or cycle["state"] != "training":
        return False
    return (service.home / f"runs/{cycle['id']:06d}/metrics.jsonl").exists()


def one_round(service: harness.Thord, url: str) -> dict[int, tuple[list[float], list[float]]]:
    """For each number of clients seconds between tokens without a training run, and beside one."""
    idle = {clients: between_tokens(url, clients) for clients in CLIENTS}
    service.ctl("train", "--epochs", "1000")
    harness.until(lambda: trains(service))
    busy = {clients: between_tokens(url, clients) for clients in CLIENTS}
    if not trains(service):
        raise SystemExit("the training run ended before it was measured")
    cycle = service.json("status")["cycle"]
    assert isinstance(cycle, dict)
    service.ctl("cancel", str(cycle["id"]))
    harness.until(lambda: service.json("status")["cycle"] is None)
    return {clients: (idle[clients], busy[clients]) for clients in CLIENTS}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="tiny")
    preset = parser.parse_args().preset
    processor.require_kernels()
    with harness.thord(*SETTINGS, f"model.preset={preset}") as service:
        for name, dialogues in (("library", standard_library(160)), ("town", tharsis()[:128])):
            file = service.home / f"{name}.jsonl"
            file.write_text(to_json_lines(dialogues), encoding="utf-8")
            service.ctl("ingest", str(file))
            if name == "library":
                print("training a first version", file=sys.stderr)
                service.ctl("train", "--wait")
                service.ctl("promote", "1", "--force")  # how good its answers are does not matter here
        api = service.json("status")["api"]
        assert isinstance(api, dict)
        rounds = [one_round(service, str(api["url"])) for _ in range(ROUNDS)]
    rows = []
    for clients in CLIENTS:
        taken = [measured[clients] for measured in rounds]
        middles = [harness.median([harness.median(gaps) for gaps in each]) for each in zip(*taken, strict=True)]
        tails = [harness.median([harness.percentile(gaps, 0.99) for gaps in each]) for each in zip(*taken, strict=True)]
        rows.append(
            [
                f"{clients} client{'s' if clients > 1 else ''}",
                *(f"{1000 * value:.1f} ms" for value in (*middles, *tails)),
                f"{tails[1] / tails[0]:.2f}",
            ]
        )
    head = ["", "median, idle", "median, training", "p99, idle", "p99, training", f"ratio of p99 (goal: <= {GOAL})"]
    harness.table(f"{preset}: time between tokens while a training run uses the machine", rows, head)


if __name__ == "__main__":
    main()
