"""Plain dialogues, a line each, handed on together: most of a large file is that, and each item costs as much as it.

`engine.data.readers.loaders.read_pieces` hands them on so; `engine.data.readers.loaders.read` one by one.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from engine.data.readers.items import Found, Item
from engine.data.readers.lines import Line
from engine.data.records.plain_messages import PlainDialogue

_TOGETHER = 64
"""Lines of a run, at most."""


class PlainLine(NamedTuple):
    """A line of a file that holds a plain dialogue; ``format`` is that of the file."""

    dialogue: PlainDialogue
    line: Line
    format: str

    @property
    def item(self) -> Found:
        """The same as any other sample."""
        line = self.line
        return Found(self.dialogue.dialogue, line.number, line.start, line.end, line.resume(self.format))


PlainRun = list[PlainLine]
"""Lines of one file in their order, without anything but blank lines between them; never empty."""
Piece = Item | PlainRun


def together(pieces: Iterable[Item | PlainLine]) -> Iterator[Piece]:
    """The same, in order, with plain lines in runs. Also what came before an `OSError`, which goes on."""
    run: PlainRun = []
    try:
        for piece in pieces:
            if isinstance(piece, PlainLine):
                run.append(piece)
                if len(run) < _TOGETHER:
                    continue
            if run:
                yield run
                run = []
            if not isinstance(piece, PlainLine):
                yield piece
    except OSError:
        if run:
            yield run
        raise
    if run:
        yield run


def one_by_one(pieces: Iterable[Piece]) -> Iterator[Item]:
    """The items of which pieces consist."""
    for piece in pieces:
        if isinstance(piece, list):
            yield from (plain.item for plain in piece)
        else:
            yield piece
