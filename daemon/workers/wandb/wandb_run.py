"""A run at Weights & Biases. The boundary to wandb, whose types are incomplete; it is imported with the first run.

A run that is followed in several attempts keeps its id, which is in ``wandb/id`` of its folder.
"""

import json
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

from daemon.workers.wandb.order import Order
from daemon.workers.wandb.translation import COLUMNS, Row, Values

_INIT_SECONDS = 20


class WandbRun:
    """What is told of one run.

    Raises:
        ImportError: wandb is not installed, or cannot be imported.
        Exception: whatever wandb raises where its server, or a key for it, is missing.
    """

    def __init__(self, order: Order, mode: str) -> None:
        folder = order.folder / "wandb"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("CACHE", "CONFIG", "DATA"):  # the home of a service cannot be written to
            os.environ.setdefault(f"WANDB_{name}_DIR", str(folder))
        os.environ["WANDB_SILENT"] = "true"
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._wandb = wandb
        self._run = wandb.init(
            project=order.project,
            id=_id(folder / "id"),
            name=order.name,
            dir=str(order.folder),
            config=_config(order.folder / "run.json"),
            mode="offline" if mode == "offline" else "online",
            resume="allow" if mode == "online" else None,
            settings=wandb.Settings(
                console="off",
                disable_code=True,
                disable_git=True,
                init_timeout=_INIT_SECONDS,
                save_code=False,
                x_disable_machine_info=True,
                x_disable_stats=True,
            ),
        )

    def log(self, step: int, values: Values) -> None:
        """Tell the values of a step; steps never go back."""
        self._run.log(dict(values), step=step)

    def end(self, values: Values, rows: Sequence[Row]) -> None:
        """Tell what the run came to, with a row for each epoch."""
        table = self._wandb.Table(columns=list(COLUMNS), data=[list(row) for row in rows])
        self._run.log({**values, "epoch_summary": table})
        self._run.summary.update(dict(values))

    def finish(self) -> None:
        """Wait until everything is passed on, or, offline, written."""
        self._run.finish()


def _config(record: Path) -> dict[str, object]:
    """What the run was asked to do, and the recipe it decided on."""
    try:
        found = json.loads(record.read_bytes())
        return {"model": found["plan"]["model"], "training": found["recipe"] or found["plan"]["training"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _id(file: Path) -> str:
    """The same in every attempt at a run."""
    if not file.exists():
        file.write_text(uuid.uuid4().hex[:12])
    return file.read_text()
