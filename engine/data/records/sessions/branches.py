"""Which lines of a session are the conversation, where each names the one behind which it was written.

Where the person goes back and asks anew, or the model answers anew, lines in the same role follow one line; the branch
with the last line is the conversation. The results of several calls follow one line as well, and all count. What the
program notes for itself stands between the lines, and parts none of them.
"""

from collections.abc import Sequence

from engine.data.records.order import Row, without_weight

_NOTHING = -1
"""What stands before the first line."""


def without_left(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows of the branch that the last one is on, each once; rows that do not name each other as they are.

    Answers behind a summary of what was said before are context only, until the person asks again.
    """
    if any(row.follows for row in rows):
        rows = _on_branch(rows)
    return _from_questions(rows) if any(row.sums_up for row in rows) else rows


def _on_branch(rows: Sequence[Row]) -> list[Row]:
    rows = _once(rows)
    before = _said_before(rows)
    next_to: dict[int, int] = {}
    at = max((at for at, row in enumerate(rows) if row.turns), default=_NOTHING)
    while at != _NOTHING:
        next_to[before[at]] = at
        at = before[at]
    on_branch = set(next_to.values())
    left: set[int] = set()
    for at, row in enumerate(rows):
        if not row.turns or at in on_branch:
            continue
        other = next_to.get(before[at])
        if before[at] in left or (other is not None and _role(row) == _role(rows[other]) != "tool"):
            left.add(at)
    return [row for at, row in enumerate(rows) if at not in left]


def _once(rows: Sequence[Row]) -> list[Row]:
    """The rows without those whose name another one had before."""
    seen: set[str] = set()
    found: list[Row] = []
    for row in rows:
        if not row.name or row.name not in seen:
            found.append(row)
        seen.add(row.name)
    return found


def _said_before(rows: Sequence[Row]) -> list[int]:
    """For each row the number of the last one before it in its branch that says something.

    A question that follows nothing begins a branch. What else follows nothing, or a line that is not there, follows the
    last line that says something.
    """
    said: dict[str, int] = {}
    found: list[int] = []
    last = _NOTHING
    for at, row in enumerate(rows):
        is_beginning = not row.follows and bool(row.turns) and _role(row) == "user"
        before = _NOTHING if is_beginning else said.get(row.follows, last)
        found.append(before)
        here = at if row.turns else before
        if row.turns:
            last = at
        if row.name:
            said[row.name] = here
    return found


def _role(row: Row) -> str:
    return row.turns[0].role


def _from_questions(rows: Sequence[Row]) -> list[Row]:
    found: list[Row] = []
    is_asked = True
    for row in rows:
        if row.sums_up:
            is_asked = False
        elif row.turns and _role(row) == "user":
            is_asked = True
        found.append(row if is_asked else without_weight(row))
    return found
