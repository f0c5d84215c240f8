"""What a model from elsewhere learns of a few facts in one cycle, and what it forgets in the next.

    python bench/study_import.py VERSION GENERAL [--beside 0 15] [--rates 5e-5 1e-4] [--epochs 4 8] [--rows 1]
        [--kl 0 0.5] [--method full lora] [--ways 6] [--replay 0 0.2] [--seeds 0 1 2]

VERSION is the folder of an imported version (``models/versions/000001`` after ``thorctl import starter``), GENERAL a
folder of conversations in any shape that thord reads. What is learned are the facts of a town that no text knows, each
asked for in so many ways, and so many longer conversations of GENERAL beside them; some are held out, and some kept for
validation, as in the service. With ``--replay`` a second cycle follows each first one: it learns as many conversations
about modules of Python, and that share of it repeats the first.

Measured greedily, by the engine that serves: questions about the town in words that were in no training text; general
questions that the starter answers right; bits per byte on a few conversations of GENERAL, and on what was held out.
"""

import argparse
import itertools
import random
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
from engine.manifest import read_manifest, version_name
from engine.training import run
from engine.training.recipe import Recipe
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
_ANSWER_TOKENS, _LONG_CHARACTERS, _CONVERSATIONS, _HELD_OUT_SHARE = 20, 1500, 16, 0.1


@dataclass(frozen=True)
class _Texts:
    """What is learned and measured: the town's, longer ones beside them, and short ones that are only measured."""

    town: list[Conversation]
    beside: list[Conversation]
    general: list[Conversation]


def main() -> None:
    """Measure and print the table, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path)
    parser.add_argument("general", type=Path)
    parser.add_argument("--rates", type=float, nargs="+", default=[None], help="peak rates; unset: by the recipe")
    parser.add_argument("--epochs", type=float, nargs="+", default=[None], help="passes; unset: by the recipe")
    parser.add_argument("--rows", type=int, nargs="+", default=[None], help="rows in a step; unset: by the recipe")
    parser.add_argument("--kl", type=float, nargs="+", default=[None], help="weights of KL; unset: by the recipe")
    parser.add_argument("--method", choices=["full", "lora"], nargs="+", default=[None], help="unset: by the recipe")
    parser.add_argument("--ways", type=int, default=6)
    parser.add_argument("--beside", type=int, nargs="+", default=[0], help="longer conversations learned beside them")
    parser.add_argument("--replay", type=float, nargs="*", default=[], help="shares of a second cycle")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    memory.keep_freed_memory()
    town = [_conversation(*pair) for pair in text.tharsis()[: 8 * options.ways]]
    shorter = list(itertools.islice(_english(options.general, range(_LONG_CHARACTERS)), _CONVERSATIONS))
    longer = list(itertools.islice(_english(options.general, range(_LONG_CHARACTERS, 10_000)), max(options.beside)))
    print(
        "| beside | method | peak rate | passes | rows a step | KL | seed | after | steps | best | minutes "
        "| about the town | in general | bits per byte, new | in general |"
    )
    print("|---" * 15 + "|")
    print("| as imported" + " |" * 11 + f" {_measured(options.version, _Texts(town, [], shorter))} |", flush=True)
    for beside, method, rate, epochs, rows, kl, seed in itertools.product(
        options.beside, options.method, options.rates, options.epochs, options.rows, options.kl, options.seeds
    ):
        texts = _Texts(town, longer[:beside], shorter)
        settings = TrainingSettings(
            method=method, learning_rate=rate, epochs=epochs, batch_size=rows, kl_weight=kl, seed=seed
        )
        with tempfile.TemporaryDirectory() as name:
            first = _trained([*texts.town, *texts.beside])
            learned = learn(options.version, options.version, Path(name, "1"), first, [], settings)
            print(_row(beside, seed, "it", learned, texts), flush=True)
            for share in options.replay:
                again = random.Random(seed).sample(first, round(share * len(first)))
                other = [_conversation(*pair) for pair in text.standard_library(len(first) - len(again))]
                second = learn(options.version, learned, Path(name, f"2-{share}"), other, again, settings)
                print(_row(beside, seed, f"another, replay {share:g}", second, texts), flush=True)


def _row(beside: int, seed: int, after: str, version_folder: Path, texts: _Texts) -> str:
    """A line of the table, with what the run decided and how long it took."""
    manifest = read_manifest(version_folder)
    decided = Recipe.model_validate(manifest.settings["training"])
    figures = manifest.metrics
    return (
        f"| {beside} | {decided.method} | {decided.learning_rate:g} | {decided.epochs:g} "
        f"| {decided.batch_size * decided.gradient_accumulation} | {decided.kl_weight:g} | {seed} "
        f"| {after} | {figures['steps']:.0f} "
        f"| {figures.get('best_step', figures['steps']):.0f} | {manifest.training_seconds / 60:.1f} "
        f"| {_measured(version_folder, texts)} |"
    )


def _trained(talk: list[Conversation]) -> list[Conversation]:
    return [one for one in talk if not is_held_out(one, _HELD_OUT_SHARE)]


def learn(
    imported: Path,
    base: Path,
    folder: Path,
    new: list[Conversation],
    again: list[Conversation],
    settings: TrainingSettings,
) -> Path:
    """The run of a cycle; the version it published, which may be an adapter for the ``imported`` one."""
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
    (folder / version_name(read_manifest(imported).version)).symlink_to(imported.resolve())
    target = folder / "000002"
    run.learn(plan, RunPaths(folder / "run", folder / "snapshot", base, target), Silent())
    return target


def _measured(folder: Path, texts: _Texts) -> str:
    """The cells of a row."""
    found = version.load(folder, device.resolve("cpu", "auto"))
    held_out = [one for one in texts.town if is_held_out(one, _HELD_OUT_SHARE)]
    new, old = (
        BITS_PER_BYTE.value(Results(evaluate.measure_version(found, chosen, EvaluationSettings())))
        for chosen in (held_out, texts.general)
    )
    engine = Ours(folder, torch.bfloat16, "cpu")
    try:
        answered = [f"{right(engine, found, questions)} of {len(questions)}" for questions in (TOWN, GENERAL)]
    finally:
        engine.close()
    return f"{answered[0]} | {answered[1]} | {new:.3f} | {old:.3f}"


def right(engine: Ours, found: version.LoadedVersion, questions: Mapping[str, str]) -> int:
    """How many questions are answered with what is wanted in the answer."""
    prompts = [found.tokenizer.encode_prompt((Message("user", question),)) for question in questions]
    answers = map(found.tokenizer.decode, engine.generate(prompts, _ANSWER_TOKENS).tokens)
    return sum(wanted in answer for answer, wanted in zip(answers, questions.values(), strict=True))


def _conversation(question: str, answer: str) -> Conversation:
    return Dialogue(messages=(Message("user", question), Message("assistant", answer)))


def _english(folder: Path, characters: range) -> Iterator[Conversation]:
    """Dialogues of a folder that are in English letters, of so many characters."""
    for file in sorted(folder.iterdir()):
        with file.open("rb") as stream:
            for item in read_known(stream, Limits()):
                if isinstance(item, Found) and isinstance(item.sample, Dialogue):
                    canonical = item.sample.canonical
                    if canonical.isascii() and len(canonical) in characters:
                        yield item.sample


if __name__ == "__main__":
    main()
