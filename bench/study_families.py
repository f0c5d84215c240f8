"""Bits per character of the byte-level families on one corpus, each with the same processor time to learn it in.

    python bench/study_families.py [FILE] [--minutes M] [--sweep-minutes S] [--curves curves.json]

FILE is any file of bytes, split 90/5/5 into training, validation and test; without one, Python's own source. Each model
is given as many steps as one thread makes in M minutes, by the fastest of its steps measured in turn with the others':
on a quiet machine that is M minutes by the clock, and on a busy one it is still the same work. Before that, each
learning rate is tried for S minutes, and the best by validation is taken; so is the faster precision.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from engine import memory
from engine.config.model import ModelSettings
from engine.data import shard
from engine.data.batches import Rows
from engine.data.encoded import Encoded
from engine.device import Placement
from engine.evaluation.likelihood import Document, measure
from engine.evaluation.measures.bits_per_byte import BITS_PER_BYTE
from engine.evaluation.results import Results
from engine.models import registry
from engine.tokenizers.bytes import FIRST, ByteTokenizer
from engine.training import loop
from engine.training.checkpoint import Checkpoints
from engine.training.objectives.language import MaskedCrossEntropy
from engine.training.recipe import Recipe
from engine.training.reporting.reporter import Silent

AGIFORMER = {"family": "agiformer", "preset": "tiny", "context": 512}
MODELS = {
    "char_lstm": {"family": "char_lstm", "preset": "tiny", "hidden": 352, "layers": 2},
    "gpt2": {"family": "gpt2", "preset": "tiny"},
    "agiformer, thinking 0": {**AGIFORMER, "thinking_steps": 0},
    "agiformer, thinking 3": {**AGIFORMER, "thinking_steps": 3},
}
"""About two million parameters each, and a context of 512 bytes."""
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
LENGTH, BATCH = 512, 8
CALIBRATION_ROUNDS, CALIBRATION_STEPS, CALIBRATION_BYTES = 3, 3, 60_000
VALIDATIONS, CURVE_BYTES = 12, 32_768
SOURCE_BYTES = 2_900_000


@dataclass(frozen=True)
class Trial:
    """One run to make."""

    model: str
    precision: str
    rate: float
    steps: int


@dataclass
class Result:
    """What a run came to; ``curve`` holds bytes read and bits per character on the first rows of validation."""

    trial: Trial
    parameters: int
    seconds: float = 0.0
    fastest_step: float = math.inf
    validation: float = math.inf
    test: float = math.inf
    curve: list[tuple[int, float]] = field(default_factory=list)


class Watch(Silent):
    """Collects the curve, and the processor time that training alone took."""

    def __init__(self, result: Result) -> None:
        self._result = result
        self._since = time.thread_time()

    def stepped(self, figures: object) -> None:
        now = time.thread_time()
        self._result.seconds += now - self._since
        self._result.fastest_step = min(self._result.fastest_step, now - self._since)
        self._since = now

    def validated(self, step: int, loss: float, best: bool) -> None:
        self._result.curve.append((step * LENGTH * BATCH, loss / math.log(2)))
        self._since = time.thread_time()


def source() -> Iterator[bytes]:
    """Python's own modules, until there is enough."""
    left = SOURCE_BYTES
    for file in sorted(Path(os.__file__).parent.glob("*.py")):
        text = file.read_bytes()[:left]
        yield text
        left -= len(text)


def parts(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Training, validation, test: 90, 5 and 5 percent."""
    first, second = len(text) * 90 // 100, len(text) * 95 // 100
    return text[:first], text[first:second], text[second:]


def encoded(text: bytes) -> Encoded:
    """A document of bytes, all of them to be learned."""
    return Encoded(np.frombuffer(text, np.uint8) + np.int32(FIRST), np.ones(len(text), np.bool_))


def run(trial: Trial, text: bytes, *, final: bool) -> Result:
    """Train, and measure what comes of it: on all of validation and test where it is ``final``."""
    memory.keep_freed_memory()
    torch.set_num_threads(1)
    settings = Recipe(
        epochs=1.0,
        batch_size=BATCH,
        gradient_accumulation=1,
        sequence_length=LENGTH,
        max_steps=trial.steps,
        learning_rate=trial.rate,
        warmup_share=0.05,
        max_grad_norm=0.5,
        validate_every=math.ceil(trial.steps / VALIDATIONS) if final else trial.steps,
        checkpoint_every=trial.steps,
        early_stopping_patience=0,
    )
    model = registry.build(ModelSettings.model_validate(MODELS[trial.model]), ByteTokenizer().vocabulary, seed=0)
    result = Result(trial, sum(weight.numel() for weight in model.parameters()))
    train, validation, test = map(encoded, parts(text))
    with tempfile.TemporaryDirectory() as name, Checkpoints(Path(name) / "checkpoints", 2) as checkpoints:
        rows, held = (
            Rows(shard.write(Path(name) / part, [document]), LENGTH)
            for part, document in (("train", train), ("validation", encoded(parts(text)[1][:CURVE_BYTES])))
        )
        placement = Placement(torch.device("cpu"), PRECISIONS[trial.precision])
        watch = Watch(result)
        outcome = loop.Loop(model, MaskedCrossEntropy(), rows, held, settings, placement, checkpoints, watch).run()
        registry.fill(model, {name: weight.clone() for name, weight in outcome.weights.items()})
    result.validation = min(bits for _, bits in result.curve)
    if final:
        registry.module(model).eval()
        result.validation, result.test = (
            BITS_PER_BYTE.value(Results(measure(model, [Document(one, len(one.ids))], length=LENGTH, batch_size=BATCH)))
            for one in (validation, test)
        )
    return result


def calibrate(text: bytes) -> dict[str, tuple[str, float]]:
    """The faster precision of each model, and the seconds of one step in it."""
    times = {(model, precision): math.inf for model in MODELS for precision in PRECISIONS}
    for _ in range(CALIBRATION_ROUNDS):
        for model, precision in times:
            result = run(Trial(model, precision, RATES[0], CALIBRATION_STEPS), text[:CALIBRATION_BYTES], final=False)
            times[model, precision] = min(times[model, precision], result.fastest_step)
    return {model: min(((name, times[model, name]) for name in PRECISIONS), key=lambda one: one[1]) for model in MODELS}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--sweep-minutes", type=float, default=0.75)
    parser.add_argument("--curves", type=Path, help="where to save the curves as JSON")
    options = parser.parse_args()
    text = options.file.read_bytes() if options.file else b"".join(source())

    fastest = calibrate(text)
    for model, (precision, seconds) in fastest.items():
        print(f"{model}: {precision}, {seconds * 1000:.0f} ms a step", file=sys.stderr, flush=True)
    results: list[Result] = []

    def carry_out(trials: list[Trial], *, final: bool) -> list[Result]:
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
            waiting = [pool.submit(run, trial, text, final=final) for trial in trials]
            for future in waiting:
                results.append(future.result())
                tell(results[-1])
        if options.curves:
            options.curves.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
        return results[-len(trials) :]

    def trials(model: str, minutes: float, rates: tuple[float, ...]) -> list[Trial]:
        precision, seconds = fastest[model]
        return [Trial(model, precision, rate, max(1, round(minutes * 60 / seconds))) for rate in rates]

    swept = carry_out([one for model in MODELS for one in trials(model, options.sweep_minutes, RATES)], final=False)
    best = {
        model: min((result for result in swept if result.trial.model == model), key=lambda result: result.validation)
        for model in MODELS
    }
    final = [one for model in MODELS for one in trials(model, options.minutes, (best[model].trial.rate,))]
    show(carry_out(final, final=True), fastest)


def tell(result: Result) -> None:
    """A line while it goes on."""
    trial = result.trial
    print(
        f"{trial.model}, {trial.precision}, rate {trial.rate:g}, {trial.steps} steps: {result.validation:.3f} bits per "
        f"character on validation, {result.seconds:.0f} s of its thread",
        file=sys.stderr,
        flush=True,
    )


def show(results: list[Result], fastest: dict[str, tuple[str, float]]) -> None:
    """The table, as Markdown."""
    print("| | parameters | numbers | ms a step | learning rate | steps | bytes read | validation | test |")
    print("|---|---|---|---|---|---|---|---|---|")
    for result in results:
        trial = result.trial
        precision, seconds = fastest[trial.model]
        print(
            f"| {trial.model} | {result.parameters / 1e6:.2f} M | {precision} | {seconds * 1000:.0f} | {trial.rate:g} "
            f"| {trial.steps:,} | {trial.steps * BATCH * LENGTH / 1e6:.1f} MB | {result.validation:.3f} "
            f"| {result.test:.3f} |"
        )


if __name__ == "__main__":
    main()
