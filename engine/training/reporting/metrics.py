"""``metrics.jsonl``: the figures of a run, one object a line, cut back where a run resumes.

Each line has ``at`` and ``step``, and one of: what is true of the whole run (``parameters``, and what figures are
derived from), the ``loss`` and figures of a training step (the first, every so many, the last), a ``validation_loss``,
the figures of an epoch (``epoch_ended``), a closer look (``histograms``, ``examples``), what the run came to
(``early_stopped``, ``test_loss``), or an ``event``: what was done about a bad step or about memory that ran out.

What epochs and the run came to is in ``eval/metrics.json`` too, made from these lines.
"""

import json
import math
import time
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import torch

from engine import disk, flops
from engine.config.model import ModelSettings
from engine.data.shard import Shard
from engine.device import Placement
from engine.models import registry
from engine.tokenizers.base import Tokenizer
from engine.training.epochs import EpochFigures
from engine.training.recipe import Recipe
from engine.training.reporting import run_summary
from engine.training.reporting.inspection import Inspection
from engine.training.reporting.reporter import Figures, FinalFigures, Reporter

_KINDS = ("event", "loss", "validation_loss", "epoch_ended", "early_stopped", "histograms", "parameters")
"""What tells the lines of one step apart."""
_SUMMARY_SECONDS = 1.0
"""Between two times that the summary is written while a run goes on: it holds all epochs, which may be short."""
_TOKENS_COUNTED = 1 << 22
"""At the beginning of the data: enough for a mean."""


@dataclass(frozen=True)
class Constants:
    """What is true of a whole run. Operations are those of `engine.flops`."""

    device: str
    parameters: int
    characters_per_token: float
    operations_per_token: float
    peak_operations_per_second: float

    def bits_per_character(self, loss: float) -> float:
        """From nats per supervised token."""
        return loss / math.log(2) / self.characters_per_token


def constants(
    model: ModelSettings, training: Recipe, placement: Placement, tokenizer: Tokenizer, data: Shard
) -> Constants:
    """Those of a run; its products are measured for some milliseconds."""
    supervised = float(data.supervised.mean()) if len(data.ids) else 1.0
    microbatch = training.batch_size * training.sequence_length
    return Constants(
        device=placement.device.type,
        parameters=registry.parameter_count(model, tokenizer.vocabulary),
        characters_per_token=_characters_per_token(tokenizer, data),
        operations_per_token=flops.per_token(model, tokenizer.vocabulary, training.sequence_length, supervised),
        peak_operations_per_second=flops.peak(model, tokenizer.vocabulary, microbatch, placement),
    )


def _characters_per_token(tokenizer: Tokenizer, data: Shard) -> float:
    """Of what is supervised, at the beginning of the data. A byte that goes on with a character counts nothing."""
    ids = data.ids[:_TOKENS_COUNTED][data.supervised[:_TOKENS_COUNTED]]
    counts = np.bincount(ids)
    characters = sum(
        int(counts[token]) * sum(byte & 0xC0 != 0x80 for byte in tokenizer.decode_bytes([int(token)]))
        for token in counts.nonzero()[0]
    )
    return characters / len(ids) if characters else 1.0


class Recorder:
    """Writes what a run reports, and passes it on with what follows from it.

    Implements `engine.training.reporting.reporter.Reporter`.
    """

    def __init__(self, file: Path, every: int, constants: Constants, further: Reporter) -> None:
        self._file = file
        self._every = every
        self._constants = constants
        self._further = further
        self._process = psutil.Process()
        self._epochs: list[EpochFigures] = []
        self._summary = file.parent / run_summary.PLACE
        self._summed_up_at = -math.inf

    def preparing(self, activity: str, done: int = 0, total: int = 0) -> None:
        """Nothing to record."""
        self._further.preparing(activity, done, total)

    def started(self, step: int, steps: int) -> None:
        """Cut away what was recorded of later steps; say what is true of the whole run, once."""
        recorded = self._cut(step)
        if (0, "parameters") not in recorded:
            self._write({"step": 0, **asdict(self._constants)})
        self._further.started(step, steps)

    def stepped(self, figures: Figures) -> None:
        """Record every so often."""
        figures = self._derived(figures)
        if figures.step % self._every == 0 or figures.step in (1, figures.steps):
            self._write(
                {
                    "step": figures.step,
                    "loss": figures.loss,
                    "bits_per_character": figures.bits_per_character,
                    "learning_rate": figures.learning_rate,
                    "gradient_norm": figures.gradient_norm,
                    "tokens": figures.tokens,
                    "tokens_per_second": round(figures.tokens_per_second, 1),
                    "share_of_peak": figures.share_of_peak,
                    "memory_bytes": figures.memory_bytes,
                    "epoch": figures.epoch,
                    "epochs": figures.epochs,
                    "samples": figures.samples,
                    "samples_per_second": round(figures.samples_per_second, 3),
                    "eta_seconds": round(figures.eta_seconds, 2),
                    **figures.parts,
                }
            )
        self._further.stepped(figures)

    def validated(self, step: int, loss: float, best: bool) -> None:
        """Record always; what is not finite is null, for JSON has no word for it."""
        bits = self._constants.bits_per_character(loss)
        self._write({"step": step, "validation_loss": _finite(loss), "validation_bits_per_character": _finite(bits)})
        self._further.validated(step, loss, best)

    def epoch_ended(self, figures: EpochFigures) -> None:
        """Record always, and sum up now and then."""
        self._write(run_summary.to_line(figures))
        self._epochs.append(figures)
        if time.monotonic() - self._summed_up_at >= _SUMMARY_SECONDS:
            self._sum_up(None)
        self._further.epoch_ended(figures)

    def ended(self, figures: FinalFigures) -> None:
        """Record and sum up."""
        bits = None if figures.test_loss is None else _finite(self._constants.bits_per_character(figures.test_loss))
        self._write(
            {
                "step": figures.step,
                "early_stopped": figures.early_stopped,
                "best_step": figures.best_step,
                "test_loss": figures.test_loss,
                "test_bits_per_character": bits,
            }
        )
        self._sum_up(figures)
        self._further.ended(figures)

    def inspected(self, step: int, inspection: Inspection) -> None:
        """Record always."""
        spread = {name: asdict(histogram) for name, histogram in inspection.histograms.items()}
        self._write({"step": step, "histograms": spread, "examples": [asdict(one) for one in inspection.examples]})
        self._further.inspected(step, inspection)

    def stumbled(self, step: int, action: str, loss: float, gradient_norm: float) -> None:
        """Record always, likewise."""
        self._write(
            {"step": step, "event": action, "bad_loss": _finite(loss), "bad_gradient_norm": _finite(gradient_norm)}
        )
        self._further.stumbled(step, action, loss, gradient_norm)

    def stopping(self) -> bool:
        """As the other says."""
        return self._further.stopping()

    def _derived(self, figures: Figures) -> Figures:
        constants = self._constants
        operations = constants.operations_per_token * figures.tokens_per_second
        memory = torch.cuda.max_memory_allocated() if constants.device == "cuda" else self._process.memory_info().rss
        return replace(
            figures,
            bits_per_character=constants.bits_per_character(figures.loss),
            share_of_peak=operations / constants.peak_operations_per_second,
            memory_bytes=memory,
        )

    def _write(self, line: Mapping[str, object]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **line}) + "\n")

    def _sum_up(self, final: FinalFigures | None) -> None:
        self._summary.parent.mkdir(exist_ok=True)
        disk.write_json(self._summary, run_summary.of_run(self._epochs, final))
        self._summed_up_at = time.monotonic()

    def _cut(self, step: int) -> Set[tuple[int, str]]:
        """Keep one line of figures for each kind and step, up to ``step``, and all events: those did happen.

        A line that a kill left unfinished goes too, and what a run came to, which will be said again. Gives steps and
        kinds of what is kept.
        """
        self._epochs = []
        if not self._file.exists():
            return frozenset()
        kept: dict[tuple[int, str], str] = {}
        epochs: dict[int, EpochFigures] = {}
        for number, line in enumerate(self._file.read_text(encoding="utf-8").splitlines(keepends=True)):
            try:
                value = json.loads(line)
                kind = next(name for name in _KINDS if name in value)
                if kind == "epoch_ended":
                    epochs[value["step"]] = run_summary.from_line(value)
                if (value["step"] <= step and kind != "early_stopped") or kind == "event":
                    kept[value["step"], f"event {number}" if kind == "event" else kind] = line
            except (ValueError, KeyError, TypeError, StopIteration):
                continue
        self._epochs = [epochs[at] for at in sorted(epochs) if at <= step]
        if len(self._epochs) < len(epochs):
            self._sum_up(None)
        disk.write(self._file, "".join(kept.values()))
        return kept.keys()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
