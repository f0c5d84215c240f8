"""Follows the metrics of a run: every line goes once into an event file, and into a summary.

Where reading stopped is kept beside the event file, together with how much of that file is good. A monitor that was
killed in between cuts the rest off, so no step is there twice. A trainer that resumes cuts its metrics back to a
checkpoint; then the file is read from its beginning again, behind a record that has TensorBoard forget what it had.
"""

import html
import os
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from daemon import log
from daemon.workers.monitor.metrics_lines import Example, Line, parse
from engine import disk

METRICS = "metrics.jsonl"
POSITION = ".position.json"
_AT_ONCE = 1 << 20
_PARTS = frozenset({"epoch", "test", "validation"})
"""Figures whose names begin so have charts of their own."""
_logger = log.get(__name__)


class RunSummary(BaseModel):
    """Where a run is. ``latest`` holds the newest value of each metric by its name in ``metrics.jsonl``."""

    model_config = ConfigDict(frozen=True)

    step: int = 0
    latest: dict[str, float] = {}
    best_validation_loss: float | None = None

    def after(self, step: int, values: Mapping[str, float]) -> "RunSummary":
        """The summary with one line more."""
        losses = [self.best_validation_loss, values.get("validation_loss")]
        return RunSummary(
            step=step,
            latest={**self.latest, **values},
            best_validation_loss=min((loss for loss in losses if loss is not None), default=None),
        )


class Position(BaseModel):
    """How far a run was followed: ``read`` bytes of metrics became ``written`` bytes of the file ``events``.

    The last line read is known by its length and sum, to notice that the metrics were cut back and grew again.
    """

    model_config = ConfigDict(frozen=True)

    events: str
    read: int = 0
    written: int = 0
    line_bytes: int = 0
    line_sum: int = 0
    summary: RunSummary = RunSummary()


def follow(metrics: Path, folder: Path) -> RunSummary:
    """Bring the event file in ``folder`` up to date with ``metrics``.

    Raises:
        OSError: a file cannot be read or written; the next call goes on from what is good.
    """
    position = _read_position(folder) or _begin(folder)
    with metrics.open("rb") as stream:
        if _is_unchanged(stream, position):
            _cut(folder / position.events, position.written)
        else:
            position = _forget(position, folder)
        stream.seek(position.read)
        for lines in _whole_lines(stream):
            position = _take(lines, position, folder, written_at=metrics.stat().st_mtime)
            disk.write_json(folder / POSITION, position.model_dump(mode="json"))
    return position.summary


def _forget(position: Position, folder: Path) -> Position:
    """Have readers of the event file forget all of it, and begin to read the metrics anew."""
    from daemon.workers.monitor import tensorboard

    written = tensorboard.append(folder / position.events, position.written, [tensorboard.restart(time.time())])
    return Position(events=position.events, written=written)


def _cut(events: Path, written: int) -> None:
    """Drop what a monitor that was killed had written beyond: those lines may be gone from the metrics by now."""
    if written and events.stat().st_size > written:
        os.truncate(events, written)


def _take(lines: bytes, position: Position, folder: Path, written_at: float) -> Position:
    """Write what ``lines`` say behind what is good of the event file."""
    from daemon.workers.monitor import tensorboard

    records = [] if position.written else [tensorboard.opening(written_at)]
    summary = position.summary
    split = lines.splitlines(keepends=True)
    for line in split:
        parsed = parse(line)
        if parsed is None:
            _logger.warning("a line of metrics is left out", folder=folder.name, line=repr(line[:200]))
            continue
        records += _records(parsed, parsed.at or written_at)
        summary = summary.after(parsed.step, parsed.values)
    return Position(
        events=position.events,
        read=position.read + len(lines),
        written=tensorboard.append(folder / position.events, position.written, records),
        line_bytes=len(split[-1]),
        line_sum=zlib.crc32(split[-1]),
        summary=summary,
    )


def _records(line: Line, at: float) -> Iterator[bytes]:
    """What TensorBoard is told of a line."""
    from daemon.workers.monitor import tensorboard

    if line.values:
        yield tensorboard.scalars(at, line.step, {_tag(name): value for name, value in line.values.items()})
    if line.histograms:
        yield tensorboard.histograms(at, line.step, line.histograms)
    if line.examples:
        yield tensorboard.text(at, line.step, "examples", _table(line.examples))


def _table(examples: Sequence[Example]) -> str:
    """Markdown; what texts hold must not look like more of the table, nor like HTML."""
    rows = [(one.before, one.expected, one.predicted) for one in examples]
    lines = ["| before | expected | predicted |", "|---|---|---|"]
    lines += [f"| {' | '.join(html.escape(cell).replace('|', '&#124;') for cell in row)} |" for row in rows]
    return "\n".join(" ".join(line.split()) for line in lines)


def _tag(name: str) -> str:
    """``validation_loss`` and ``loss`` share a chart of TensorBoard under ``validation/`` and ``train/``."""
    part, _, rest = name.partition("_")
    return f"{part}/{rest}" if part in _PARTS and rest else f"train/{name}"


def _whole_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The rest of ``stream`` in parts that end with a line; a line that is still being written is left."""
    while chunk := stream.read(_AT_ONCE):
        end = chunk.rfind(b"\n") + 1
        if not end:
            return
        stream.seek(end - len(chunk), 1)
        yield chunk[:end]


def _is_unchanged(stream: BinaryIO, position: Position) -> bool:
    """Whether the last line read is where it was."""
    stream.seek(position.read - position.line_bytes)
    return zlib.crc32(stream.read(position.line_bytes)) == position.line_sum


def _read_position(folder: Path) -> Position | None:
    """The stored position; null if there is none, or if the event file is shorter than it says."""
    try:
        position = Position.model_validate_json((folder / POSITION).read_bytes())
        complete = position.written == 0 or (folder / position.events).stat().st_size >= position.written
    except (FileNotFoundError, ValidationError):
        return None
    return position if complete else None


def _begin(folder: Path) -> Position:
    """A new event file in place of any that nothing is known of."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("events.out.tfevents.*"):
        file.unlink()
    return Position(events=f"events.out.tfevents.{int(time.time()):010d}.thord")
