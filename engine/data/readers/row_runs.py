"""Rows that follow each other become conversations: by the id they carry, else by where one ends.

Without an id a conversation ends at a blank line, at a header, at a new system turn after an answer, and at anything
that is not a row. With ids, rows of several conversations may alternate; each is whole at the end of the file.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.data.readers.items import Item, Refused, Resume, items_of
from engine.data.readers.json_values import too_large
from engine.data.records.collections.askers import Askers
from engine.data.records.collections.conversations import parts_of, samples_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.order import Row
from engine.data.records.rows import check_is_asked, conversation_of, row_of
from engine.data.records.values import Record

_OPEN_BYTES = 256 << 20
"""Bytes of rows that may wait for the rest of their conversations; beyond it those that waited longest end."""


@dataclass(slots=True)
class _Run:
    """The rows of one conversation so far, and what went wrong with it."""

    line: int
    start: int
    end: int
    size: int = 0
    rows: list[Row] = field(default_factory=list)
    turns: int = 0
    is_answered: bool = False
    problem: str = ""
    bad_line: int = 0
    bad_start: int = 0


class RowRuns:
    """Rows gathered into conversations; what is finished is yielded as items.

    A row that cannot be read ends the conversation before it: what follows cannot be placed and is refused with it. One
    before the first turn costs only itself.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self._name = name
        self._limits = limits
        self._runs: OrderedDict[str, _Run] = OrderedDict()
        self._by_start: OrderedDict[str, _Run] = OrderedDict()
        self._ended: set[str] = set()
        self._askers = Askers()
        self._size = 0

    @property
    def is_open(self) -> bool:
        """Whether a conversation without an id is under way: what comes next may belong to it."""
        return "" in self._runs

    @property
    def is_under_way(self) -> bool:
        """Whether any conversation is."""
        return bool(self._runs)

    def add(self, record: Record, line: int, start: int, end: int) -> Iterator[Item]:
        """One more row, from bytes ``start`` to ``end``, and the conversations that end before it."""
        conversation = conversation_of(record)
        run = self._runs.get(conversation)
        try:
            row = row_of(record, run.turns + 1 if run else 1)
            if (answered := self._askers.conversation_of(conversation, row.turns)) != conversation:
                conversation, run = answered, self._runs.get(answered)
        except FormatError as error:
            if run is None or not run.turns:
                yield Refused(str(error), line, start, end, self._resume(start, line))
            else:
                self._extend(run, end, end - start)
                _mark(run, str(error), line, start)
            return
        is_opening = row.begins or (run is not None and _is_new_opening(run, row))
        if run and not conversation and is_opening:
            yield from self._finish("", self._resume(start, line))
        if conversation in self._ended:
            reason = f"{conversation} goes on here, too far behind its first rows: sort the rows by conversation"
            yield Refused(reason, line, start, end, self._resume(start, line))
            return
        run = self._run(conversation, line, start)
        self._extend(run, end, end - start)
        if not run.problem and run.size > self._limits.record_bytes:
            _mark(run, too_large(run.size, self._limits), line, start)
        if not run.problem:
            run.rows.append(row)
            run.turns += len(row.turns)
            run.is_answered = run.is_answered or any(turn.role == "assistant" for turn in row.turns)
        while self._size > _OPEN_BYTES and len(self._runs) > 1:
            oldest = next(iter(self._runs))
            if oldest:
                self._ended.add(oldest)
            yield from self._finish(oldest, self._resume(start, line))

    def fail(self, problem: str, line: int, start: int, end: int, conversation: str = "") -> None:
        """Something that cannot be read, in the middle of a conversation, or of the one without an id."""
        run = self._run(conversation, line, start)
        self._extend(run, end, end - start)
        _mark(run, problem, line, start)

    def finish_open(self, resume: Resume) -> Iterator[Item]:
        """End the conversation without an id, because something else begins at ``resume``."""
        if self.is_open:
            yield from self._finish("", resume if len(self._runs) == 1 else self._resume(resume.offset, resume.line))

    def finish(self, resume: Resume | None) -> Iterator[Item]:
        """End every conversation. ``resume`` is null at the end of a file that may grow: their starts are kept."""
        begin = resume or self._resume(0, 1)
        for conversation in list(self._runs):
            yield from self._finish(conversation, begin)

    def resume(self, resume: Resume) -> Resume:
        """``resume``, or before every conversation that is under way."""
        return self._resume(resume.offset, resume.line) if self._runs else resume

    def _resume(self, offset: int, line: int) -> Resume:
        """Before every conversation that is under way, and not behind ``offset`` where there is none."""
        first = next(iter(self._by_start.values()), None)
        return Resume(self._name, offset, line) if first is None else Resume(self._name, first.start, first.line)

    def _run(self, conversation: str, line: int, start: int) -> _Run:
        run = self._runs.get(conversation)
        if run is None:
            run = self._runs[conversation] = self._by_start[conversation] = _Run(line, start, start)
        self._runs.move_to_end(conversation)  # the last one is the one that was added to last
        return run

    def _extend(self, run: _Run, end: int, size: int) -> None:
        run.end = end
        run.size += size
        self._size += size

    def _finish(self, conversation: str, resume: Resume) -> Iterator[Item]:
        run = self._runs.pop(conversation, None)
        if run is None:
            return
        del self._by_start[conversation]
        self._size -= run.size
        if not run.problem and not any(row.turns for row in run.rows):
            return  # lines that a program wrote for itself
        said_until = run.bad_start if run.problem else run.end
        is_cut = bool(run.problem) and not any(turn.role == "user" for row in run.rows for turn in row.turns)
        if not is_cut and (any(row.turns for row in run.rows) or not run.problem):
            for name, rows in parts_of(conversation, run.rows):
                try:
                    check_is_asked(name, rows)
                    yield from items_of(samples_of(rows, self._limits), run.line, run.start, said_until, resume)
                except FormatError as error:
                    yield Refused(str(error), run.line, run.start, said_until, resume)
        if run.problem:
            problem = f"{run.problem}; from here on the turns of this conversation are left out"
            line, start = (run.line, run.start) if is_cut else (run.bad_line, run.bad_start)  # nothing was asked before
            yield Refused(problem, line, start, run.end, resume)


def _mark(run: _Run, problem: str, line: int, start: int) -> None:
    """Note what went wrong first."""
    if not run.problem:
        run.problem, run.bad_line, run.bad_start = problem, line, start


def _is_new_opening(run: _Run, row: Row) -> bool:
    """Whether another conversation begins: counts or ids start again, or instructions follow an answer."""
    first = run.rows[0] if run.rows else None
    if first and first.is_counted and row.is_counted and row.time == first.time:
        return True
    asks_again = run.is_answered and bool(row.turns) and row.turns[0].role != "assistant"
    if first and first.name and row.name == first.name != run.rows[-1].name and asks_again:
        return True
    return run.is_answered and bool(row.turns) and row.turns[0].role == "system"
