"""Rows of a task that is added later: they are taken up, and enough of them are held out to judge it by.

A share of all rows is held out by the hash of their text. Of the forty rows that a new task begins with that is two or
none, and of a label that is added later none either: nothing would show whether they are learned. So for each task, and
for each label of one that classifies, some of its new rows are held out as well until there are enough: those whose
text has the lowest hash, at most a quarter of the new rows with that label. A text that was learned with another label,
or for another task, is never held out afterwards.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from daemon.workers.intake.ledger.ledger import Ledger
from daemon.workers.intake.ledger.samples import Samples, State
from engine.data.held_out import is_group_held_out
from engine.data.samples import Labelled
from engine.data.segments import DamagedSegmentError
from engine.data.tasks.task import Task

_LARGEST_PART = 4
"""At most one in so many of the new rows with one label."""
_MOST_READ = 20_000
"""Rows; of a ledger with more that were learned, the share by hash is enough."""


class _Stratum(NamedTuple):
    """A task, and the label of one that classifies."""

    task: str
    label: str


def take_up(ledger: Ledger, tasks: Mapping[str, Task], share: float) -> int:
    """Let rows that came before their task was known be new, or held out, inside a transaction; how many they are."""
    taken = 0
    for number, group, stratum in list(_rows(ledger.samples, "held", tasks)):
        if stratum.task in tasks:
            is_held_out = is_group_held_out(group, share) or group in ledger.samples.openings_held_out([group])
            ledger.samples.take_up(number, "held_out" if is_held_out else "new")
            taken += 1
    return taken


def top_up_tasks(ledger: Ledger, tasks: Mapping[str, Task], least: int) -> int:
    """Hold out more of the new rows of tasks until each has ``least``, inside a transaction; how many were moved.

    Labels share them alike: of a task with three labels each gets a third of ``least``.
    """
    counts = (ledger.samples.count("labelled", states) for states in (("new",), ("learned", "assigned")))
    if any(count > _MOST_READ for count in counts):
        return 0
    new = list(_rows(ledger.samples, "new", tasks))
    held = Counter(stratum for _, _, stratum in _rows(ledger.samples, "held_out", tasks))
    missing = _missing(Counter(stratum for _, _, stratum in new), held, least)
    if not missing:
        return 0
    kept = {group for state in ("learned", "assigned") for _, group, _ in _rows(ledger.samples, state, tasks)}
    of_text: dict[str, list[tuple[int, _Stratum]]] = defaultdict(list)
    for number, group, stratum in new:
        if group not in kept:
            of_text[group].append((number, stratum))
    moved = 0
    for group, rows in sorted(of_text.items()):
        if all(missing[stratum] > 0 for _, stratum in rows):
            ledger.samples.hold_out(group, [number for number, _ in rows])
            missing.subtract(stratum for _, stratum in rows)
            moved += len(rows)
    return moved


def _missing(new: Counter[_Stratum], held: Counter[_Stratum], least: int) -> Counter[_Stratum]:
    """How many rows of each stratum are to be held out."""
    labels = Counter(stratum.task for stratum in new | held)
    found: Counter[_Stratum] = Counter()
    for stratum, number in new.items():
        wanted = math.ceil(least / labels[stratum.task]) - held[stratum]
        if wanted > 0:
            found[stratum] = min(wanted, number // _LARGEST_PART)
    return +found


def _rows(samples: Samples, state: State, tasks: Mapping[str, Task]) -> Iterator[tuple[int, str, _Stratum]]:
    """Number, group and stratum of rows in a state; what is damaged on disk is found when a cycle takes it."""
    for number, location in samples.of_kind("labelled", state):
        try:
            sample = samples.read(location)
        except DamagedSegmentError:
            continue
        if isinstance(sample, Labelled):
            task = tasks.get(sample.task)
            label = str(sample.label) if task is not None and task.kind == "classify" else ""
            yield number, sample.group, _Stratum(sample.task, label)
