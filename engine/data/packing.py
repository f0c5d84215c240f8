"""Which tokens go into which row: documents cut where they must be, packed best-fit, none of their targets lost."""

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.data.shard import Shard


@dataclass(frozen=True)
class Packing:
    """Pieces of documents in rows. Row ``r`` holds the pieces ``rows[r]`` to ``rows[r + 1]``.

    Piece ``p`` reads ``lengths[p]`` tokens from ``starts[p]`` on and predicts the same number from one further on.
    """

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows) - 1


def pack(shard: Shard, length: int) -> Packing:
    """Best-fit decreasing: pieces from the longest to the shortest, each into the fullest row that still has room."""
    pieces = np.array(list(_pieces(shard, length)), dtype=np.int64).reshape(-1, 2)
    rows = best_fit(pieces[:, 1].tolist(), length)
    order = np.array([piece for row in rows for piece in row], dtype=np.int64)
    ends = np.cumsum(np.array([0, *(len(row) for row in rows)], dtype=np.int64))
    return Packing(pieces[order, 0], pieces[order, 1], ends)


def best_fit(lengths: list[int], room: int) -> list[list[int]]:
    """Rows of piece numbers, none longer than ``room`` in total. Ties go by number, so the result is one.

    Rows with the same space left stand in one stack; a bit for each stack that is not empty finds the tightest fit at
    once, so the whole takes time linear in the pieces (after sorting).
    """
    rows: list[list[int]] = []
    stacks: list[list[int]] = [[] for _ in range(room + 1)]
    occupied = 0
    for piece in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        length = lengths[piece]
        fitting = occupied >> length
        if fitting:
            space = length + (fitting & -fitting).bit_length() - 1
            row = stacks[space].pop()
            if not stacks[space]:
                occupied &= ~(1 << space)
        else:
            space, row = room, len(rows)
            rows.append([])
        rows[row].append(piece)
        stacks[space - length].append(row)
        occupied |= 1 << (space - length)
    return rows


def evenly(lengths: list[int], room: int) -> list[list[int]]:
    """As `best_fit`, in as many rows, but in rows as short as that allows: what a row is short of is computed too."""
    count = len(best_fit(lengths, room))
    least = max(*lengths, math.ceil(sum(lengths) / count)) if count else room
    rooms = range(least, room)
    shorter = bisect.bisect_left(rooms, True, key=lambda tried: len(best_fit(lengths, tried)) <= count)
    return best_fit(lengths, least + shorter)


def _pieces(shard: Shard, length: int) -> Iterator[tuple[int, int]]:
    """Start and length of every piece that predicts something supervised.

    A document of n tokens predicts n - 1, each from those before it. What follows the last supervised token of a
    piece, and a piece without one, would cost time and change no gradient.
    """
    for start, end in zip(shard.starts[:-1].tolist(), shard.starts[1:].tolist(), strict=True):
        for at in range(start, end - 1, length):
            learned = np.flatnonzero(shard.supervised[at + 1 : min(at + length + 1, end)])
            if len(learned):
                yield at, int(learned[-1]) + 1
