"""What a file holds, in blocks of some hundred samples: what costs something by the call is done once for each."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from daemon.workers.intake import folders
from daemon.workers.intake.ledger.candidate import Candidate, candidate_of, candidate_of_plain
from engine.data.readers import loaders
from engine.data.readers.items import Found, Refused, Resume
from engine.data.readers.plain_runs import PlainRun
from engine.data.records.limits import Limits

MOST_REFUSALS = 1000
"""So many records of one file are refused one by one. A file that begins with so many and one more is hopeless."""
_SAMPLES, _BYTES, _SECONDS = 500, 1 << 20, 0.5
"""A block ends with the sample with which it has so many, of so many bytes, or took so long."""


@dataclass(frozen=True, slots=True)
class Request:
    """A file to read: all of it, or what came after `resume`; ``source`` is its number in the ledger."""

    path: Path
    source: int
    limits: Limits
    resume: Resume | None


@dataclass(slots=True)
class Block:
    """Samples that follow each other in a file, and what was refused among them.

    Attributes:
        refusals: those of the first `MOST_REFUSALS` of the file.
        refused: how many there were.
        first_start: the byte at which the first of the samples begins; null where there is none.
        is_open: the last of the samples may go on when the file grows.
        resume: where reading goes on after the block; null where it holds nothing.
        problem: why the file could not be read to its end.
        is_hopeless: nothing but refusals, and many of them: the rest of the file is not read.
    """

    candidates: list[Candidate] = field(default_factory=list)
    refusals: list[Refused] = field(default_factory=list)
    refused: int = 0
    first_start: int | None = None
    is_open: bool = False
    resume: Resume | None = None
    problem: str = ""
    is_hopeless: bool = False


class Raised(NamedTuple):
    """What a reader raised, told to another process."""

    reason: str
    trace: str


def blocks_of(request: Request, stream: BinaryIO) -> Iterator[Block]:
    """Everything in a file, block by block; the last one may be empty."""
    is_corpus = folders.is_corpus(request.path)
    pieces = loaders.read_pieces(request.path, stream, request.limits, request.resume, is_corpus=is_corpus)
    block, size, until = Block(), 0, time.monotonic() + _SECONDS
    refused, found_any = 0, False
    try:
        for piece in pieces:
            if isinstance(piece, Refused):
                block.resume = piece.resume
                refused += 1
                block.refused += 1
                if refused <= MOST_REFUSALS:
                    block.refusals.append(piece)
                elif not found_any:
                    block.is_hopeless = True
                    break
            else:
                found_any = True
                size += _add(piece, block, request.source)
            if len(block.candidates) >= _SAMPLES or size >= _BYTES or time.monotonic() > until:
                yield block
                block, size, until = Block(), 0, time.monotonic() + _SECONDS
    except OSError as error:
        block.problem = f"cannot be read to its end: {error.strerror or error}"
    yield block


def _add(found: Found | PlainRun, block: Block, source: int) -> int:
    """Put what was found into a block; how many bytes that are."""
    if isinstance(found, Found):
        start, last, resume = found.start, found.start, found.resume
        added = [candidate_of(found.sample, source, found.line)]
    else:
        _, line, name = found[-1]
        start, last, resume = found[0].line.start, line.start, line.resume(name)
        added = [candidate_of_plain(plain, source, line.number) for plain, line, _ in found]
    if block.first_start is None:
        block.first_start = start
    block.is_open = resume.offset <= last
    block.resume = resume
    block.candidates += added
    return sum([len(each.canonical) for each in added])
