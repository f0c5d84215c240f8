"""What an imported model forgets over many small cycles: all weights or an adapter, with and without replay and KL.

    python bench/study_forgetting.py VERSION CONVERSATIONS TEXT FOLDER [--cycles 20] [--conversations 10]
        [--arms lora:0:0.3 full:0.25:0] [--plot FILE.svg]

VERSION is the folder of an imported version (``models/versions/000001`` after ``thorctl import starter``),
CONVERSATIONS a folder of chats in any shape that thord reads, TEXT a file of prose. An arm is a method, the share of
earlier conversations that a cycle repeats, and the weight of KL. All arms learn the same conversations in the same
order, and take turns: each makes a cycle before any makes the next.

Measured after each cycle: bits per byte on what was held out in all cycles before it, on what was held out in this one,
and on TEXT; and how many of ten general questions are answered right, greedily. What is done lies in FOLDER, with the
last version of each arm: the same command goes on where it was interrupted, and one with fewer cycles only prints.
"""

import argparse
import json
import math
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import plot
import study_import
import torch
from serving.ours import Ours

from engine import device, memory, version
from engine.config.evaluation import EvaluationSettings
from engine.config.training import TrainingSettings
from engine.data.readers.items import Found
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.samples import Conversation, Dialogue, Text
from engine.evaluation import evaluate
from engine.evaluation.measures.bits_per_byte import BITS_PER_BYTE
from engine.evaluation.results import Results

ARMS = ("lora:0:0.3", "full:0:0.3", "lora:0.25:0.3", "lora:0:0", "full:0.25:0.3", "full:0:0", "lora:0.05:0.3")
QUESTIONS = dict(list(study_import.GENERAL.items())[:10])
HELD_OUT, LONGEST, TEXT_CHARACTERS = 2, 700, 4_000
"""Conversations held out of each cycle, and the most characters that one, and the text, may have."""
_RESULTS = "results.jsonl"


@dataclass(frozen=True)
class Measured:
    """An arm after a cycle; cycle 0: as imported. ``earlier`` is null where nothing was held out before."""

    arm: str
    cycle: int
    earlier: float | None
    new: float | None
    general: float
    right: int
    seconds: float


@dataclass(frozen=True)
class Material:
    """What all arms learn, cycle by cycle, and are measured on."""

    cycles: list[list[Conversation]]
    general: list[Conversation]

    def learned(self, cycle: int) -> list[Conversation]:
        """The new conversations of a cycle, which are counted from 1."""
        return self.cycles[cycle - 1][HELD_OUT:]

    def held_out(self, cycle: int) -> list[Conversation]:
        """What was held out of them."""
        return self.cycles[cycle - 1][:HELD_OUT]

    def replayed(self, cycle: int, share: float) -> list[Conversation]:
        """Earlier ones, drawn evenly: on average ``share`` of as many as are new."""
        earlier = [one for before in range(1, cycle) for one in self.learned(before)]
        each = share * len(self.learned(cycle))
        count = math.floor(each * cycle) - math.floor(each * (cycle - 1))
        return random.Random(cycle).sample(earlier, min(count, len(earlier)))


def main() -> None:
    """Go on until each arm has its cycles, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path)
    parser.add_argument("conversations_folder", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), metavar="METHOD:REPLAY:KL")
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--conversations", type=int, default=10, help="new ones in each cycle, the held-out ones among")
    parser.add_argument("--plot", type=Path, help="where to draw the loss on what was held out earlier")
    options = parser.parse_args()
    memory.keep_freed_memory()
    options.folder.mkdir(exist_ok=True)
    text = options.text.read_text(encoding="utf-8")[:TEXT_CHARACTERS]
    chats = _short(options.conversations_folder, options.cycles * options.conversations)
    size = options.conversations
    material = Material([chats[at : at + size] for at in range(0, len(chats), size)], [Text(text)])
    done = _read(options.folder)
    if ("", 0) not in done:
        _note(options.folder, done, _measured("", 0, options.version, material, 0.0))
    for cycle in range(1, options.cycles + 1):
        for arm in options.arms:
            if (arm, cycle) not in done:
                _note(options.folder, done, _carry_out(arm, cycle, options.version, options.folder, material))
    _show(list(done.values()), options.arms, options.plot)


def _short(folder: Path, count: int) -> list[Conversation]:
    """The first so many short dialogues in English letters, drawn from all files alike."""
    found = list(dict.fromkeys(_dialogues(folder)))
    random.Random(1).shuffle(found)
    if len(found) < count:
        raise SystemExit(f"{folder} has {len(found)} short dialogues; {count} are needed")
    return found[:count]


def _dialogues(folder: Path) -> Iterator[Conversation]:
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        with file.open("rb") as stream:
            for item in read_known(stream, Limits()):
                if isinstance(item, Found) and isinstance(item.sample, Dialogue):
                    canonical = item.sample.canonical
                    if canonical.isascii() and len(canonical) <= LONGEST:
                        yield item.sample


def _carry_out(arm: str, cycle: int, imported: Path, folder: Path, material: Material) -> Measured:
    """One cycle of one arm, from its last version."""
    method, share, kl = arm.split(":")
    settings = TrainingSettings.model_validate(
        {"method": method, "kl_weight": float(kl), "seed": cycle, "threads": torch.get_num_threads()}
    )
    place, last = folder / arm.replace(":", "-"), folder / arm.replace(":", "-") / f"{cycle - 1}" / "000002"
    shutil.rmtree(place / f"{cycle}", ignore_errors=True)
    (place / f"{cycle}").mkdir(parents=True)
    base = imported if cycle == 1 else last
    began = time.monotonic()
    again = material.replayed(cycle, float(share))
    learned = study_import.learn(imported, base, place / f"{cycle}", material.learned(cycle), again, settings)
    seconds = time.monotonic() - began
    shutil.rmtree(place / f"{cycle}" / "run")
    found = _measured(arm, cycle, learned, material, seconds)
    shutil.rmtree(place / f"{cycle - 1}", ignore_errors=True)
    return found


def _measured(arm: str, cycle: int, folder: Path, material: Material, seconds: float) -> Measured:
    loaded = version.load(folder, device.resolve("cpu", "auto"))
    earlier = [one for before in range(1, cycle) for one in material.held_out(before)]
    engine = Ours(folder, torch.bfloat16, "cpu")
    try:
        answered = study_import.right(engine, loaded, QUESTIONS)
    finally:
        engine.close()
    return Measured(
        arm=arm,
        cycle=cycle,
        earlier=_bits(loaded, earlier) if earlier else None,
        new=_bits(loaded, material.held_out(cycle)) if cycle else None,
        general=_bits(loaded, material.general),
        right=answered,
        seconds=seconds,
    )


def _bits(loaded: version.LoadedVersion, chosen: list[Conversation]) -> float:
    """Bits per byte."""
    return BITS_PER_BYTE.value(Results(evaluate.measure_version(loaded, chosen, EvaluationSettings())))


def _read(folder: Path) -> dict[tuple[str, int], Measured]:
    """What has been done, by arm and cycle."""
    file = folder / _RESULTS
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {(one.arm, one.cycle): one for one in (Measured(**json.loads(line)) for line in lines)}


def _note(folder: Path, done: dict[tuple[str, int], Measured], found: Measured) -> None:
    done[found.arm, found.cycle] = found
    with (folder / _RESULTS).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(found)) + "\n")


def _show(found: list[Measured], arms: list[str], drawing: Path | None) -> None:
    """The table, as Markdown: as imported, and each arm after its last cycle."""
    print("| method | replay | KL | cycles | held out earlier | held out now | text | right | minutes a cycle |")
    print("|---" * 9 + "|")
    start = next(one for one in found if not one.arm)
    print(f"| as imported | | | | | | {start.general:.3f} | {start.right} of {len(QUESTIONS)} | |")
    for arm in arms:
        own = [one for one in found if one.arm == arm]
        if own:
            last, minutes = own[-1], sum(one.seconds for one in own) / len(own) / 60
            bits = " | ".join("" if value is None else f"{value:.3f}" for value in (last.earlier, last.new))
            print(
                f"| {' | '.join(arm.split(':'))} | {last.cycle} | {bits} | {last.general:.3f} "
                f"| {last.right} of {len(QUESTIONS)} | {minutes:.1f} |"
            )
    if drawing is not None:
        series = {
            arm: [(one.cycle, one.earlier) for one in found if one.arm == arm and one.earlier is not None]
            for arm in arms
        }
        plot.lines(drawing, "What was held out in all earlier cycles", "cycle", "bits per byte", series)


if __name__ == "__main__":
    main()
