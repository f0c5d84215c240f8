"""What a file format is: a name, how it is recognised, how it is read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from engine.data.readers.head import Head
from engine.data.readers.items import Resume
from engine.data.readers.plain_runs import Piece
from engine.data.records.limits import Limits


@dataclass(frozen=True, slots=True)
class Format:
    """A file format.

    Attributes:
        name: in the ledger and in what `thorctl ingest` says.
        fits: whether a file that begins like this is of the format.
        read: everything from where the `Resume` points on: what is found and what is refused, in order. Only an
            `OSError` of the stream may be raised. Memory stays within a few records.
        may_grow: what was read stays true while more is being written at the end of the file.
        seeks: whether it reads here and there; a packed file is unpacked into memory for it.
    """

    name: str
    fits: Callable[[Head], bool]
    read: Callable[[BinaryIO, Limits, Resume], Iterator[Piece]]
    may_grow: bool
    seeks: bool = False
