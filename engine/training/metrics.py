"""``metrics.jsonl``: the figures of a run, one object a line, cut back where a run resumes."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from engine.training.reporting import Figures, Reporter


class Recorder:
    """Writes what a run reports, and passes it on. Implements `engine.training.reporting.Reporter`.

    Each line has ``at`` and ``step``, and one of: the figures of a training step (the first, every so many, the last),
    a ``validation_loss``, or an ``event``: what was done about a bad step or about memory that ran out.
    """

    def __init__(self, file: Path, every: int, further: Reporter) -> None:
        self._file = file
        self._every = every
        self._further = further

    def preparing(self, activity: str) -> None:
        """Nothing to record."""
        self._further.preparing(activity)

    def started(self, step: int, steps: int) -> None:
        """Cut away what was recorded of later steps."""
        self._cut(step)
        self._further.started(step, steps)

    def stepped(self, figures: Figures) -> None:
        """Record every so often."""
        if figures.step % self._every == 0 or figures.step in (1, figures.steps):
            self._write(
                {
                    "step": figures.step,
                    "loss": figures.loss,
                    "learning_rate": figures.learning_rate,
                    "gradient_norm": figures.gradient_norm,
                    "tokens": figures.tokens,
                    "tokens_per_second": round(figures.tokens_per_second, 1),
                    "eta_seconds": round(figures.eta_seconds, 2),
                    **figures.parts,
                }
            )
        self._further.stepped(figures)

    def validated(self, step: int, loss: float, best: bool) -> None:
        """Record always."""
        self._write({"step": step, "validation_loss": loss})
        self._further.validated(step, loss, best)

    def stumbled(self, step: int, action: str, loss: float, gradient_norm: float) -> None:
        """Record always; what is not finite is null, for JSON has no word for it."""
        self._write(
            {"step": step, "event": action, "bad_loss": _finite(loss), "bad_gradient_norm": _finite(gradient_norm)}
        )
        self._further.stumbled(step, action, loss, gradient_norm)

    def stopping(self) -> bool:
        """As the other says."""
        return self._further.stopping()

    def _write(self, line: Mapping[str, float | str | None]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **line}) + "\n")

    def _cut(self, step: int) -> None:
        """Keep one line of figures for each kind and step, up to ``step``, and all events: those did happen.

        A line that a kill left unfinished goes too.
        """
        if not self._file.exists():
            return
        kept: dict[tuple[int, str], str] = {}
        for number, line in enumerate(self._file.read_text(encoding="utf-8").splitlines(keepends=True)):
            try:
                value = json.loads(line)
                kind = "loss" if "loss" in value else f"event {number}" if "event" in value else "validation"
                if value["step"] <= step or "event" in value:
                    kept[value["step"], kind] = line
            except (ValueError, KeyError, TypeError):
                continue
        draft = self._file.with_name(f".tmp-{self._file.name}")
        draft.write_text("".join(kept.values()), encoding="utf-8")
        draft.rename(self._file)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
