"""``metrics.jsonl``: the figures of a run, one object a line, cut back where a run resumes."""

import json
from datetime import UTC, datetime
from pathlib import Path

from engine.training.loop import Figures, Reporter


class Recorder:
    """Writes what a run reports, and passes it on. Implements `engine.training.loop.Reporter`.

    Each line has ``at`` and ``step``, and either the figures of a training step (the first, every so many, the last)
    or a ``validation_loss``.
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
                }
            )
        self._further.stepped(figures)

    def validated(self, step: int, loss: float, best: bool) -> None:
        """Record always."""
        self._write({"step": step, "validation_loss": loss})
        self._further.validated(step, loss, best)

    def stumbled(self, step: int, action: str, loss: float, gradient_norm: float) -> None:
        """Nothing to record: such a step changed nothing."""
        self._further.stumbled(step, action, loss, gradient_norm)

    def stopping(self) -> bool:
        """As the other says."""
        return self._further.stopping()

    def _write(self, line: dict[str, float]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **line}) + "\n")

    def _cut(self, step: int) -> None:
        """Keep one line of each kind and step, up to ``step``; a line that a kill left unfinished goes too."""
        if not self._file.exists():
            return
        kept: dict[tuple[int, bool], str] = {}
        for line in self._file.read_text(encoding="utf-8").splitlines(keepends=True):
            try:
                value = json.loads(line)
                if value["step"] <= step:
                    kept[value["step"], "loss" in value] = line
            except (ValueError, KeyError, TypeError):
                continue
        draft = self._file.with_name(f".tmp-{self._file.name}")
        draft.write_text("".join(kept.values()), encoding="utf-8")
        draft.rename(self._file)
