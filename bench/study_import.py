"""What a model from elsewhere learns of a few facts in one cycle, and what it forgets in the next.

    python bench/study_import.py VERSION GENERAL [--rates 2e-5 5e-5 1e-4] [--kl 0 0.5] [--epochs 4] [--ways 6]
        [--replay 0 0.2] [--seeds 3]

VERSION is the folder of an imported version (``models/versions/000001`` after ``thorctl import starter``), GENERAL a
folder of conversations in any shape that thord reads. What is learned are the facts of a town that no text knows, each
asked for in so many ways; some are held out as in the service. With ``--replay`` a second cycle follows each first one:
it learns as many conversations about modules of Python, and that share of it repeats the first.

Measured greedily, by the engine that serves: questions about the town in words that were in no training text; general
questions that the starter answers right; bits per byte on a few conversations of GENERAL, and on what was held out.
"""

import argparse
import itertools
import random
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from serving.ours import Ours

from demo import text
from engine import device, memory, version
from engine.config.evaluation import EvaluationSettings
from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerSettings
from engine.config.training import TrainingSettings
from engine.data import snapshot
from engine.data.held_out import is_held_out
from engine.data.readers.items import Found
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.samples import Conversation, Dialogue, Message
from engine.data.snapshot import Example
from engine.evaluation import evaluate
from engine.evaluation.measures.bits_per_byte import BITS_PER_BYTE
from engine.evaluation.results import Results
from engine.training import run
from engine.training.reporting.reporter import Silent
from engine.training.spec import RunPaths, RunSpec

GENERAL = {
    "What is the capital of France?": "Paris",
    "What is the capital of Japan?": "Tokyo",
    "What is the capital of Germany?": "Berlin",
    "What is the capital of Egypt?": "Cairo",
    "How many days are in a week?": "7",
    "What is 2 + 2?": "4",
    "What is the chemical symbol for water?": "H2O",
    "What is the opposite of hot?": "cold",
    "In which country are the Pyramids of Giza?": "Egypt",
    "What is the largest ocean on Earth?": "Pacific",
    "What is the chemical symbol for gold?": "Au",
}
TOWN = {
    "When does the harbour of Tharsis open?": "six",
    "Where is the library of Tharsis?": "old mill",
    "Where in Tharsis does the ferry leave from?": "north pier",
    "On which days is the market of Tharsis?": "Tuesday",
    "Who keeps the lighthouse of Tharsis?": "Solberg",
    "What can I buy at the bakery of Tharsis?": "rye",
    "In which year was the bridge of Tharsis built?": "1714",
    "What can I see in the museum of Tharsis?": "whale",
}
_ANSWER_TOKENS, _MOST_CHARACTERS, _CONVERSATIONS, _HELD_OUT_SHARE = 20, 1500, 16, 0.1


def main() -> None:
    """Measure and print the table, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path)
    parser.add_argument("general", type=Path)
    parser.add_argument("--rates", type=float, nargs="+", default=[2e-5, 5e-5, 1e-4])
    parser.add_argument("--kl", type=float, nargs="+", default=[0.0, 0.5])
    parser.add_argument("--epochs", type=float, default=4.0)
    parser.add_argument("--ways", type=int, default=6)
    parser.add_argument("--replay", type=float, nargs="*", default=[], help="shares of a second cycle")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each")
    options = parser.parse_args()
    memory.keep_freed_memory()
    talk = [_conversation(*pair) for pair in text.tharsis()[: 8 * options.ways]]
    general = list(_short(options.general))[:_CONVERSATIONS]
    print(
        "| peak rate | KL | seed | after | about the town | in general | bits per byte, new | in general |", flush=True
    )
    print("|---|---|---|---|---|---|---|---|")
    print(f"| as imported | | | | {_measured(options.version, talk, general)} |", flush=True)
    for rate, kl, seed in itertools.product(options.rates, options.kl, range(options.seeds)):
        settings = TrainingSettings(
            learning_rate=rate, kl_weight=kl, epochs=options.epochs, warmup_share=0.1, validation_share=0.0, seed=seed
        )
        row = f"| {rate:g} | {kl:g} | {seed}"
        with tempfile.TemporaryDirectory() as name:
            learned = _learn(options.version, Path(name, "1"), _trained(talk), [], settings)
            print(f"{row} | it | {_measured(learned, talk, general)} |", flush=True)
            for share in options.replay:
                again = random.Random(seed).sample(_trained(talk), round(share * len(talk)))
                other = [_conversation(*pair) for pair in text.standard_library(len(talk) - len(again))]
                second = _learn(learned, Path(name, f"2-{share}"), other, again, settings)
                after = f"another, replay {share:g}"
                print(f"{row} | {after} | {_measured(second, talk, general)} |", flush=True)


def _trained(talk: list[Conversation]) -> list[Conversation]:
    return [one for one in talk if not is_held_out(one, _HELD_OUT_SHARE)]


def _learn(
    base: Path, folder: Path, new: list[Conversation], again: list[Conversation], settings: TrainingSettings
) -> Path:
    """The run of a cycle; the version it published."""
    examples = [Example(one, one.identity, "new") for one in new]
    examples += [Example(one, one.identity, "replay") for one in again]
    snapshot.write(folder / "snapshot", examples, [])
    plan = RunSpec(
        cycle=1,
        version=2,
        base=1,
        model=ModelSettings(),
        tokenizer=TokenizerSettings(),
        training=settings,
        settings={"training": {}},
    )
    target = folder / "000002"
    run.learn(plan, RunPaths(folder / "run", folder / "snapshot", base, target), Silent())
    return target


def _measured(folder: Path, talk: list[Conversation], general: list[Conversation]) -> str:
    """The cells of a row."""
    found = version.load(folder, device.resolve("cpu", "auto"))
    held_out = [one for one in talk if is_held_out(one, _HELD_OUT_SHARE)]
    new, old = (
        BITS_PER_BYTE.value(Results(evaluate.measure_version(found, chosen, EvaluationSettings())))
        for chosen in (held_out, general)
    )
    engine = Ours(folder, torch.bfloat16, "cpu")
    try:
        right = [_right(engine, found, questions) for questions in (TOWN, GENERAL)]
    finally:
        engine.close()
    return f"{right[0]} | {right[1]} | {new:.3f} | {old:.3f}"


def _right(engine: Ours, found: version.LoadedVersion, questions: Mapping[str, str]) -> str:
    prompts = [found.tokenizer.encode_prompt((Message("user", question),)) for question in questions]
    answers = map(found.tokenizer.decode, engine.generate(prompts, _ANSWER_TOKENS))
    right = sum(wanted in answer for answer, wanted in zip(answers, questions.values(), strict=True))
    return f"{right} of {len(questions)}"


def _conversation(question: str, answer: str) -> Conversation:
    return Dialogue(messages=(Message("user", question), Message("assistant", answer)))


def _short(folder: Path) -> Iterator[Conversation]:
    """Dialogues of a folder that are in English letters and not long."""
    for file in sorted(folder.iterdir()):
        with file.open("rb") as stream:
            for item in read_known(stream, Limits()):
                if isinstance(item, Found) and isinstance(item.sample, Dialogue):
                    canonical = item.sample.canonical
                    if canonical.isascii() and len(canonical) < _MOST_CHARACTERS:
                        yield item.sample


if __name__ == "__main__":
    main()
