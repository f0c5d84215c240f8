"""Blocks as they go from the process that parses to the intake: candidates by columns.

A candidate is a named tuple with another one in it, which costs as much to pickle as it costs to parse its JSON. Lists
of plain values cost a seventh of that.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from daemon.workers.intake.ledger.candidate import Candidate
from daemon.workers.intake.parsing.blocks import Block
from engine.data.digest import Digest
from engine.data.samples import Kind


class _Columns(NamedTuple):
    """Those of candidates and their digests."""

    kinds: list[Kind]
    turns: list[int]
    canonicals: list[bytes]
    identities: list[str]
    beginnings: list[tuple[str, ...]]
    groups: list[str]
    sources: list[int]
    lines: list[int]


class Packed(NamedTuple):
    """A block on its way: its candidates, and the block without them."""

    candidates: _Columns
    rest: Block


def packed(block: Block) -> Packed:
    """The block, ready to be sent."""
    return Packed(_by_columns(block.candidates), replace(block, candidates=[]))


def unpacked(received: Packed) -> Block:
    """The block that was sent."""
    kinds, turns, canonicals, identities, beginnings, groups, sources, lines = received.candidates
    digests = map(Digest, canonicals, identities, beginnings, groups)
    return replace(received.rest, candidates=list(map(Candidate, kinds, turns, digests, sources, lines)))


def _by_columns(candidates: Sequence[Candidate]) -> _Columns:
    digests = [each.digest for each in candidates]
    return _Columns(
        [each.kind for each in candidates],
        [each.turns for each in candidates],
        [each.canonical for each in digests],
        [each.identity for each in digests],
        [each.beginnings for each in digests],
        [each.group for each in digests],
        [each.source for each in candidates],
        [each.line for each in candidates],
    )
