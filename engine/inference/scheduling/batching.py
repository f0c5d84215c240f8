"""What one iteration computes: which prompts advance by how much, and in what shape rows are decoded.

Where torch computes, shapes are chosen so that the numbers of a row do not depend on its neighbours, and greedy answers
under load equal those of an idle engine. Prompts are read alone, in chunks cut at fixed places, of few lengths, because
torch compiles products for each and keeps some of them for ever: megabytes for every length. Decoding is padded to a
bucket of at least four rows: from four on, MKL and oneDNN compute each row alike, whatever their number (one to three
rows take another path). With several threads MKL needs ``MKL_CBWR`` set besides. The kernel needs nothing of this.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from engine.inference.requests import SequenceState
from engine.models.base import Cache

CHUNK = 128
"""Prompt tokens of one sequence in one forward pass."""
LENGTH_STEP = 32
"""Chunks are padded to multiples of it, where a row can be written again from any place."""
PREFILL_BUDGET = 256
"""Prompt tokens of all sequences in one iteration, so that a long prompt delays running answers by a bounded time."""
SMALLEST_BUCKET = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """One iteration of one version."""

    prefill: tuple[tuple[SequenceState, int], ...]
    """Sequences in order of arrival, each with the number of its prompt tokens to read."""
    decode: tuple[SequenceState, ...]
    """Sequences that get one more token."""


def plan(running: Iterable[SequenceState], step: int) -> Plan:
    """What to compute next for the sequences that have rows; chunks are padded to multiples of ``step``."""
    everyone = list(running)
    budget = PREFILL_BUDGET
    prefill: list[tuple[SequenceState, int]] = []
    reading: dict[int, SequenceState] = {}
    for sequence in everyone:
        length = min(CHUNK, len(sequence.prompt) - sequence.cached)
        if length > 0 and sequence.waits_for(reading.setdefault(id(sequence.prompt), sequence)):
            continue
        if length > 0 and (length + -length % step <= budget or not prefill):
            prefill.append((sequence, length))
            budget -= length + -length % step
    return Plan(tuple(prefill), tuple(sequence for sequence in everyone if not sequence.prefilling))


def lengths(cache: Cache) -> range:
    """Of the chunks in which prompts are read, into a cache that is long enough."""
    step = LENGTH_STEP if cache.rewinds else 1
    return range(step, CHUNK + 1, step)


def padded(length: int, start: int, cache: Cache) -> int:
    """The length to which a chunk is padded that begins at ``start``."""
    return min(length + -length % lengths(cache).step, cache.length - start)


def bucket(rows: int) -> int:
    """The number of rows that ``rows`` are padded to: powers of two from four."""
    return buckets(rows)[-1]


def buckets(rows: int) -> list[int]:
    """Every bucket that up to ``rows`` rows are padded to, the smallest first."""
    return doublings(SMALLEST_BUCKET, rows)


def doublings(first: int, last: int) -> list[int]:
    """``first``, twice as much, and so on until ``last`` is reached."""
    sizes = [first]
    while sizes[-1] < last:
        sizes.append(2 * sizes[-1])
    return sizes
