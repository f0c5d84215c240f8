"""The shapes in which torch computes, chosen so that the numbers of a row do not depend on its neighbours.

So greedy answers under load equal those of an idle engine. Prompts are read alone, in chunks cut at fixed places, of
few lengths, because torch compiles products for each and keeps some of them for ever: megabytes for every length.
Decoding is padded to a bucket of at least four rows: from four on, MKL and oneDNN compute each row alike, whatever
their number (one to three rows take another path). With several threads MKL needs ``MKL_CBWR`` set besides. The kernel
needs nothing of this.
"""

from engine.inference.scheduling.batching import CHUNK
from engine.models.base import Cache

LENGTH_STEP = 32
"""Chunks are padded to multiples of it, where a row can be written again from any place."""
SMALLEST_BUCKET = 4


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
