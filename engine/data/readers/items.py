"""What reading a file yields: samples found and pieces refused, each with its place, and where to read on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from engine.data.records.limits import FormatError
from engine.data.records.shape import Parsed
from engine.data.samples import Sample
from engine.data.storable import storable


class Resume(NamedTuple):
    """Where reading goes on once a file of ``format`` has grown: what lies before ``offset`` can no longer change."""

    format: str
    offset: int
    line: int


class Inside(NamedTuple):
    """Where in a packed file something lies: the member of the archive (empty: it is not one), and its own format."""

    member: str
    format: str


class Found(NamedTuple):
    """One sample, from bytes ``start`` to ``end`` of the file; ``line`` counts from 1."""

    sample: Sample
    line: int
    start: int
    end: int
    resume: Resume
    inside: Inside | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Bytes ``start`` to ``end`` cannot be learned from, and why. ``line`` is 0 where the whole file is meant.

    The reason may quote the file: it is made storable here, for whoever passes it on.
    """

    reason: str
    line: int
    start: int
    end: int
    resume: Resume
    inside: Inside | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", storable(self.reason))


Item = Found | Refused


def items_of(parsed: Iterable[Parsed], line: int, start: int, end: int, resume: Resume) -> Iterator[Item]:
    """What is in one record that lies at this place."""
    for each in parsed:
        if isinstance(each, FormatError):
            yield Refused(str(each), line, start, end, resume)
        else:
            yield Found(each, line, start, end, resume)


def of_whole(item: Item, size: int, resume: Resume) -> Item:
    """The item, placed at the whole file of so many bytes: for files in which an item has no place of its own."""
    if isinstance(item, Found):
        return item._replace(start=0, end=size, resume=resume)
    return replace(item, start=0, end=size, resume=resume)
