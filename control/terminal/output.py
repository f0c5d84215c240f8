"""What commands print: aligned words for people, with colour only on a terminal, and stable JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from control.answers import Json

_COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}

_COLOUR_OF_STATE = {
    "green": {"ready", "running", "serving", "promoted", "ok"},
    "yellow": {"starting", "stopping", "resident", "skipped", "rejected", "cancelled", "backoff", "warn", "warning"},
    "red": {"degraded", "failed", "quarantined", "fail", "error", "critical"},
}


def on_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def paint(text: str, colour: str) -> str:
    """``text`` in a colour (``bold dim red green yellow``), where a terminal shows it and NO_COLOR is unset."""
    if not on_terminal() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def paint_state(state: str) -> str:
    """A state in the colour that says whether it is well."""
    for colour, states in _COLOUR_OF_STATE.items():
        if state in states:
            return paint(state, colour)
    return state


def clean(value: object) -> str:
    """A value as one line of text that cannot steer a terminal: file names and logs may hold anything."""
    if value is None:
        return "-"
    return "".join(character if character.isprintable() else " " for character in str(value))


def say(text: str = "") -> None:
    """Print a line, at once also into a pipe."""
    print(text, flush=True)


def say_error(text: str) -> None:
    """Print a line for people to standard error."""
    print(text, file=sys.stderr, flush=True)


def emit(value: object, *, line: bool = False) -> None:
    """Print a value as JSON: indented on a terminal, else (and with ``line``) on one line."""
    indent = 2 if on_terminal() and not line else None
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    say(json.dumps(value, indent=indent, ensure_ascii=plain))


def fields(pairs: Mapping[str, str]) -> None:
    """Print names and values, one a line."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        print(f"{paint(name.ljust(width), 'dim')}  {value}")


def columns(head: Sequence[str], rows: Iterable[Sequence[str]], states: Iterable[int] = ()) -> None:
    """Print rows under their head, aligned; columns whose number is in ``states`` are coloured as states."""
    table = [list(head), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for number, row in enumerate(table):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        cells[-1] = row[-1]
        for column in states:
            cells[column] = paint_state(row[column]) + cells[column][len(row[column]) :]
        text = "  ".join(cells).rstrip()
        print(paint(text, "dim") if number == 0 else text)


def size(count: int) -> str:
    """Bytes as people say them: ``517 MB``, ``3.1 GB``."""
    value = float(count)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:,.1f} GB"


def duration(seconds: float | None) -> str:
    """Seconds as people say them: ``4 s``, ``3 min 20 s``, ``5 h 3 min``, ``2 d 4 h``."""
    if seconds is None:
        return "-"
    whole = max(0, round(seconds))
    for size, name, small, small_name in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {name} {rest} {small_name}" if rest else f"{whole // size} {name}"
    return f"{whole} s"


def moment(at: str | None) -> str:
    """An ISO time as local date and time."""
    if not at:
        return "-"
    from datetime import datetime

    try:
        return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return clean(at)


def figure(value: object) -> str:
    """A number in as many digits as matter; other values as text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return clean(value)


def tree(value: Mapping[str, Json], depth: int = 0) -> None:
    """Print nested names and values, indented by ``depth``; a name with nothing below it is left out."""
    for name, inner in value.items():
        label = "  " * depth + name.replace("_", " ")
        if isinstance(inner, dict):
            if inner:
                say(label)
                tree(inner, depth + 1)
        elif isinstance(inner, list):
            say(f"{label}: {len(inner)} (see --json)" if len(inner) > 8 else f"{label}: {_inline(inner)}")
        else:
            say(f"{label}: {figure(inner)}")


def _inline(values: list[Json]) -> str:
    return ", ".join(figure(value) for value in values)
