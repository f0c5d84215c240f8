"""Conversations a second from a JSONL in the inbox into the ledger, beside datasets.load_dataset("json").

``python bench/bench_intake.py``, with ``--before COMMIT`` beside the thord of another commit too. Ours is a whole
service: what it answers is on disk, and recognised when it comes again. In each round every contestant reads a new file
of OpenAI records, then thord the same records under another name. ``--files N`` is how many small files are copied into
one folder afterwards; half of them first, so that the memory of both can be compared.
"""

import argparse
import contextlib
import itertools
import json
import logging
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import harness

from daemon.settings.data import DataSettings

_TURNS = (("system", 80), ("user", 180), ("assistant", 320))
"""Characters of each turn; with the keys a record has some 700 bytes."""
_LONG_AGO = 1_000_000_000


class Intake:
    """The intake of a running thord, asked over its control socket."""

    def __init__(self, service: harness.Thord) -> None:
        self._service = service
        self._numbers = itertools.count()
        self.folder = service.home / "inbox/conversations"

    @property
    def pid(self) -> int:
        """Of the intake's process."""
        workers = self._ask("GET", "/v1/status")["workers"]
        return int(workers["intake"]["pid"])

    @property
    def samples(self) -> int:
        """How many there are in the ledger, committed; nothing is learned meanwhile."""
        counts = self._ask("GET", "/v1/data")
        return int(counts["new"]) + int(counts["held_out"])

    def read(self, file: Path) -> None:
        """Put a file into the inbox that nobody writes any more, and have it read."""
        hidden = self.folder / ".copy"
        shutil.copyfile(file, hidden)
        os.utime(hidden, (_LONG_AGO, _LONG_AGO))
        hidden.rename(self.folder / f"{next(self._numbers)}.jsonl")
        self._ask("POST", "/v1/scan")

    def _ask(self, method: str, path: str):
        connection = harness.UnixConnection(self._service.home / "run/control.sock")
        connection.request(method, path, "{}" if method == "POST" else None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        value = json.loads(answer.read())
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"{path} was answered with {value}")
        return value


def records(number: int, text: str, seed: int) -> Iterator[str]:
    """Distinct conversations of three turns, one JSON record a line."""
    dice = random.Random(seed)
    for each in range(number):
        starts = [dice.randrange(len(text) - length) for _, length in _TURNS]
        said = [text[start : start + length] for start, (_, length) in zip(starts, _TURNS, strict=True)]
        said[1] = f"{seed}.{each}: {said[1]}"
        turns = [{"role": role, "content": content} for (role, _), content in zip(_TURNS, said, strict=True)]
        yield json.dumps({"messages": turns}) + "\n"


def measure_rates(before: str | None, number: int, rounds: int, folder: Path) -> None:
    """Time every contestant on the same new files, in turn, and print what each came to."""
    tree = folder / "before"
    if before:
        harness.checkout(before, tree)
    text = "\n".join(harness.documentation())
    with contextlib.ExitStack() as services:
        ours = Intake(services.enter_context(harness.thord()))
        theirs = Intake(services.enter_context(harness.thord(tree=tree))) if before else None
        files: list[Path] = []

        def next_file() -> Path:
            files.append(folder / f"{len(files)}.jsonl")
            files[-1].write_text("".join(records(number, text, len(files))))
            return files[-1]

        def read_by_datasets(file: Path) -> None:
            cache = folder / f"cache-{file.stem}"
            table = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(cache))
            if table.num_rows != number:
                raise SystemExit(f"datasets read {table.num_rows} rows of {number}")

        contestants: dict[str, Callable[[Path], None]] = {"ours": ours.read, "ours, all known": ours.read}
        if theirs:
            contestants["before"] = theirs.read
        contestants["datasets.load_dataset"] = read_by_datasets
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for round_ in range(rounds + 1):
            file = next_file()
            for name, read in contestants.items():
                took = harness.seconds(lambda read=read, file=file: read(file))
                if round_:  # the first is for warming up
                    times[name].append(took)
            for intake in filter(None, (ours, theirs)):
                if intake.samples != number * len(files):
                    raise SystemExit(f"{intake.samples} of {number * len(files)} conversations are in the ledger")
        megabytes = files[-1].stat().st_size / 1e6
    rates = {name: number / harness.median(seconds) for name, seconds in times.items()}
    harness.table(
        f"{number:,} OpenAI records of {megabytes / number * 1e6:.0f} bytes, medians of {rounds} rounds",
        [
            [name, f"{rate:,.0f}", f"{rate * megabytes / number:.1f}", f"{rates['ours'] / rate:.2f}"]
            for name, rate in rates.items()
        ],
        ["", "conversations/s", "MB/s", "ours is x"],
    )
    print("  the goals are 6 times d58d999 and 0.5 times datasets")


def measure_small_files(number: int) -> None:
    """Copy small files into one folder, each a conversation; when all are in the ledger, and in how much memory."""
    rows = []
    with harness.thord() as service:
        intake = Intake(service)
        copied = 0
        for wanted in (number // 2, number):
            copying = harness.seconds(lambda first=copied, last=wanted: copy_small(intake.folder, first, last))
            took = harness.seconds(lambda wanted=wanted: harness.until(lambda: intake.samples == wanted, 600, 0.1))
            memory = f"{harness.resident_megabytes(intake.pid):.0f} MB"
            rows.append([f"{wanted - copied:,}", f"{copying:.1f} s", f"{took:.1f} s", memory])
            copied = wanted
    head = ["files", "copied in", "all in the ledger after", "resident"]
    harness.table(f"small files into one folder (they rest for {DataSettings().settle_seconds:g} s first)", rows, head)
    print("  the goal is 100,000 within 60 s after the copy, in the same memory")


def copy_small(folder: Path, first: int, last: int) -> None:
    """Write files that each hold one conversation."""
    for number in range(first, last):
        turns = [
            {"role": "user", "content": f"Question {number}?"},
            {"role": "assistant", "content": f"It is {number}."},
        ]
        (folder / f"small-{number}.json").write_text(json.dumps({"messages": turns}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", metavar="COMMIT", help="such as d58d999, from which the goals start")
    parser.add_argument("--records", type=int, default=20_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--files", type=int, default=100_000, metavar="N")
    options = parser.parse_args()
    datasets.disable_progress_bars()
    logging.getLogger("datasets").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        measure_rates(options.before, options.records, options.rounds, Path(folder))
    if options.files:
        measure_small_files(options.files)


if __name__ == "__main__":
    main()
