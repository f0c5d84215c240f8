"""Follows the figures of one run, and passes them on to Weights & Biases, until the run is over.

The trainer starts it, writes an `Order` to its standard input, and waits for nothing: what hangs or fails here slows no
step. The end of the standard input says that the run is over, however the trainer ended. What is left is passed on
then, within a time; after that the whole session of this process, wandb's own included, is killed.
"""

import contextlib
import os
import signal
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from daemon import log
from daemon.settings.sections import SupervisionSettings
from daemon.workers.wandb.order import Order
from daemon.workers.wandb.tail import Tail
from daemon.workers.wandb.translation import Row, Told, Values, translate
from engine import disk

_POLL_SECONDS = 0.5
_logger = log.get(__name__)


class Run(Protocol):
    """Who is told: `daemon.workers.wandb.wandb_run.WandbRun`."""

    def log(self, step: int, values: Values) -> None:
        """The values of a step."""
        ...

    def end(self, values: Values, rows: list[Row]) -> None:
        """What the run came to."""
        ...

    def finish(self) -> None:
        """Wait until all is passed on."""
        ...


@dataclass(frozen=True)
class Position:
    """The last step, and the last step of an epoch, that were told."""

    step: int = 0
    epoch: int = 0


class Follower:
    """Tells a run what lines say, each step once, however often a trainer that resumed repeats it."""

    def __init__(self, run: Run, order: Order) -> None:
        self._run = run
        self._tail = Tail(order.folder / "metrics.jsonl")
        self._file = order.folder / "wandb" / "position.json"
        self._told = _read_position(self._file)
        self._rows: dict[int, Row] = {}

    def pass_on(self) -> None:
        """Everything new."""
        before, final = self._told, None
        for told in filter(None, map(translate, self._tail.lines())):
            final = told if told.final is not None else None
            if told.row is not None:
                self._rows[told.step] = told.row
            if told.final is None and self._is_new(told):
                self._run.log(told.step, told.values)
        if final is not None:
            self._end(final)
        if self._told != before:
            disk.write_json(self._file, {"step": self._told.step, "epoch": self._told.epoch})

    def _is_new(self, told: Told) -> bool:
        """Whether it was not told yet; from now on it was. The end of an epoch follows its last step."""
        if told.row is not None:
            is_new = told.step > self._told.epoch and told.step >= self._told.step
            self._told = replace(self._told, epoch=max(self._told.epoch, told.step))
        else:
            is_new = told.step > self._told.step
            self._told = replace(self._told, step=max(self._told.step, told.step))
        return is_new

    def _end(self, told: Told) -> None:
        rows = [self._rows[step] for step in sorted(self._rows) if step <= told.step]
        self._run.end(told.final or {}, rows)


def _read_position(file: Path) -> Position:
    try:
        return _POSITION.validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return Position()


_POSITION = TypeAdapter(Position)


def main() -> None:
    """Follow until the run is over."""
    order = Order.model_validate_json(sys.stdin.readline())
    log.configure("wandb", order.log, SupervisionSettings())
    over = threading.Event()
    threading.Thread(target=_await_the_end, args=(over, order.finish_seconds), name="end", daemon=True).start()
    if (run := _begin(order)) is None:
        return
    follower, is_over = Follower(run, order), False
    while not is_over:
        is_over = over.wait(_POLL_SECONDS)
        follower.pass_on()
    run.finish()


def _begin(order: Order) -> Run | None:
    """The run at Weights & Biases; kept on the disk, for `wandb sync`, where its server cannot be reached."""
    from daemon.workers.wandb.wandb_run import WandbRun

    try:
        return WandbRun(order, order.mode)
    except ImportError as error:
        _logger.warning("wandb cannot be imported: the run is not passed on", reason=str(error))
        return None
    except Exception as error:
        if order.mode == "offline":
            _logger.warning("wandb failed: the run is not passed on", reason=str(error))
            return None
        _logger.warning("Weights & Biases cannot be reached: the run is kept for 'wandb sync'", reason=str(error))
    try:
        return WandbRun(order, "offline")
    except Exception as error:
        _logger.warning("wandb failed: the run is not passed on", reason=str(error))
        return None


def _await_the_end(over: threading.Event, finish_seconds: float) -> None:
    """Until the trainer closes its end, or is gone."""
    with contextlib.suppress(OSError):
        sys.stdin.read()
    over.set()
    timer = threading.Timer(finish_seconds, _give_up)
    timer.daemon = True
    timer.start()


def _give_up() -> None:
    _logger.warning("wandb did not come to an end in time; what is left is in the folder of the run")
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
