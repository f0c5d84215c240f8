"""Messages that stand by themselves, one after the other, are the turns of one conversation."""

from collections.abc import Iterator

from pydantic import JsonValue

from engine.data.readers.items import Found, Item, Refused, Resume
from engine.data.readers.json_values import too_large
from engine.data.records import messages
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits


class MessageRun:
    """Single messages gathered until something else comes; `finish` then yields their conversation.

    A message that cannot be read ends the conversation before it: what follows cannot be placed and is refused with it.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self._name = name
        self._limits = limits
        self._reset()

    def _reset(self) -> None:
        self._turns: list[Turn] = []
        self._line = self._start = self._end = 0
        self._problem = ""
        self._bad_line = self._bad_start = 0

    @property
    def is_open(self) -> bool:
        """Whether a run is under way."""
        return self._end > 0

    def add(self, value: JsonValue, line: int, start: int, end: int) -> None:
        """One more message, from bytes ``start`` to ``end``."""
        self._stretch(line, start, end)
        if self._problem:
            return
        if end - self._start > self._limits.record_bytes:
            self.fail(too_large(end - self._start, self._limits), line, start, end)
            return
        try:
            self._turns.append(messages.turn_of(value, len(self._turns) + 1))
        except FormatError as error:
            self.fail(str(error), line, start, end)

    def fail(self, problem: str, line: int, start: int, end: int) -> None:
        """A turn that cannot be read."""
        self._stretch(line, start, end)
        if not self._problem:
            self._problem, self._bad_line, self._bad_start = problem, line, start

    def finish(self, resume: Resume | None) -> Iterator[Item]:
        """End the run. ``resume`` is null where it reaches the end of the file: it may grow, so its start is kept."""
        if not self.is_open:
            return
        resume = resume or Resume(self._name, self._start, self._line)
        said_until = self._bad_start if self._problem else self._end
        if self._turns or not self._problem:
            try:
                dialogue = dialogue_of(self._turns, self._limits)
                yield Found(dialogue, self._line, self._start, said_until, resume)
            except FormatError as error:
                yield Refused(str(error), self._line, self._start, said_until, resume)
        if self._problem:
            problem = f"{self._problem}; from here on the turns of this conversation are left out"
            yield Refused(problem, self._bad_line, self._bad_start, self._end, resume)
        self._reset()

    def _stretch(self, line: int, start: int, end: int) -> None:
        if not self.is_open:
            self._line, self._start = line, start
        self._end = end
