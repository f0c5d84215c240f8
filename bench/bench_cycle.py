"""What a cycle costs besides optimizer steps and forward passes, with few and with many old conversations."""

import json
import sqlite3
import sys
from collections.abc import Iterator
from datetime import datetime

import harness
import processor

NEW = 60
ROUNDS = 3
SETTINGS = ("data.max_conversations_per_cycle=60", "data.settle_seconds=0.1", "training.epochs=2")


def conversations(start: int, count: int) -> Iterator[str]:
    """Distinct small dialogues, one JSON record a line."""
    for number in range(start, start + count):
        turns = [
            {"role": "user", "content": f"What is {number} and one, in the count of number {number}?"},
            {"role": "assistant", "content": f"It is {number + 1}."},
        ]
        yield json.dumps({"messages": turns}) + "\n"


def grow(service: harness.Thord, start: int, count: int) -> None:
    """Add conversations through the inbox."""
    file = service.home / f"{start}.jsonl"
    file.write_text("".join(conversations(start, count)))
    service.ctl("ingest", str(file))


def pretend_learned(service: harness.Thord) -> None:
    """Mark all that is new as learned, as if many cycles had passed; the intake is down meanwhile."""
    service.ctl("stop", "intake")
    with sqlite3.connect(service.home / "conversations.db") as ledger:
        ledger.execute("UPDATE samples SET state = 'learned', cycle = 1 WHERE state = 'new'")
    ledger.close()
    service.ctl("start", "intake")


def overhead(service: harness.Thord) -> tuple[float, float]:
    """Run one cycle: its seconds in all, and those that were neither training steps nor evaluation."""
    cycle = json.loads(service.ctl("train", "--wait", "--json"))
    version = service.json("version", str(cycle["version"]))
    whole = (datetime.fromisoformat(cycle["ended_at"]) - datetime.fromisoformat(cycle["started_at"])).total_seconds()
    manifest = json.loads((service.home / f"models/versions/{version['version']}/manifest.json").read_text())
    evaluation = json.loads((service.home / f"models/versions/{version['version']}/evaluation.json").read_text())
    return whole, whole - manifest["training_seconds"] - evaluation["seconds"]


def main() -> None:
    """Measure and print."""
    processor.require_kernels()
    sizes = (100, 100_000)
    results: dict[int, list[tuple[float, float]]] = {size: [] for size in sizes}
    with harness.thord(*SETTINGS) as few, harness.thord(*SETTINGS) as many:
        services = dict(zip(sizes, (few, many), strict=True))
        for size, service in services.items():
            print(f"filling a ledger with {size} conversations", file=sys.stderr)
            grow(service, 0, size)
            pretend_learned(service)
        for round_ in range(ROUNDS + 1):
            for size, service in services.items():
                grow(service, 1_000_000 + round_ * NEW * 2, NEW * 2)
                measured = overhead(service)
                if round_:  # the first is from scratch: another kind of cycle
                    results[size].append(measured)
    rows = [
        [
            f"{size:,} old conversations",
            f"{harness.median([whole for whole, _ in times]):.2f} s",
            f"{harness.median([own for _, own in times]):.2f} s",
        ]
        for size, times in results.items()
    ]
    few_own, many_own = (harness.median([own for _, own in results[size]]) for size in sizes)
    harness.table("one cycle of 60 new conversations", rows, ["", "whole cycle", "overhead (goal: <= 10 s)"])
    print(f"  ratio of the overheads: {many_own / few_own:.2f}")


if __name__ == "__main__":
    main()
