"""Blocks as they go from the process that parses to the intake: candidates by columns.

A candidate is a named tuple, which costs as much to pickle as it costs to parse its JSON. Columns of plain values cost
a seventh of that.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from daemon.workers.intake.ledger.candidate import Candidate
from daemon.workers.intake.parsing.blocks import Block


class Packed(NamedTuple):
    """A block on its way: the fields of its candidates, each of all of them, and the block without them."""

    columns: Sequence[tuple[object, ...]]
    rest: Block


def packed(block: Block) -> Packed:
    """The block, ready to be sent."""
    return Packed(list(zip(*block.candidates, strict=True)), replace(block, candidates=[]))


def unpacked(received: Packed) -> Block:
    """The block that was sent."""
    candidates = list(map(Candidate._make, zip(*received.columns, strict=True)))
    return replace(received.rest, candidates=candidates)
