"""The memory of caches: pages of positions, taken as rows grow, shared by rows that begin alike, given back at once.

A page holds `PAGE` positions of one row, of everything that a model remembers of them. A table says which pages each
row has. Rows that begin alike have their first pages in common; before a row is written to, a page that others have
too is copied. Page 0 is nobody's: the table names it beyond a row's last page, so that there is something to read. One
row more than there are has no other: what fills a batch up is written there, and means nothing.

On a CPU a pool is address space for all pages there can be, and a page takes memory when it is written to. Elsewhere a
pool is as large as the rows need, and moves to a place of twice the size when it is full.

Shapes: R rows and one more, P pages of the longest row.
"""

import heapq
import math
import mmap
from collections.abc import Sequence

import torch

PAGE = 64
"""Positions in a page."""
_MAP_NORESERVE = 0x4000
"""Of Linux; Python 3.11 has no name for it. Without it the system may refuse more address space than it has memory."""


class Pool:
    """Memory for ``most`` pages of one shape.

    Attributes:
        memory: the pages, [pages, *shape]. Another tensor after `reach` has moved it.
        page_bytes: of one page.
    """

    def __init__(
        self, shape: Sequence[int], dtype: torch.dtype, device: torch.device, *, first: int, most: int
    ) -> None:
        """``first`` pages are there from the beginning where memory is not taken page by page."""
        self._most = most
        self._shape = tuple(shape)
        self.page_bytes = math.prod(shape) * dtype.itemsize
        self._space = _reserve(most * self.page_bytes) if device.type == "cpu" else None
        self._lazy = self._space is not None or device.type == "meta"
        if self._space is not None:
            self.memory = torch.frombuffer(memoryview(self._space), dtype=dtype).view(-1, *shape)
        else:
            self.memory = torch.zeros(min(first, most), *shape, dtype=dtype, device=device)

    @property
    def capacity_bytes(self) -> int:
        """Memory that it has whether pages are used or not: none on a CPU."""
        return 0 if self._lazy else self.memory.nbytes

    def pages_for(self, pages: int) -> int:
        """How many pages the pool has when it holds so many: twice as many as before, until they are enough."""
        size = len(self.memory)
        while size < pages:
            size *= 2
        return min(size, self._most)

    def memory_for(self, used: int, more: int) -> int:
        """Bytes that must be free so that ``more`` pages can be used beside those that are."""
        if self._lazy:
            return more * self.page_bytes
        return 0 if used + more <= len(self.memory) else self.pages_for(used + more) * self.page_bytes

    def reach(self, pages: int) -> None:
        """Have room for so many pages."""
        size = self.pages_for(pages)
        if size > len(self.memory):
            larger = self.memory.new_zeros(size, *self._shape)
            larger[: len(self.memory)] = self.memory
            self.memory = larger

    def copy(self, source: int, target: int) -> None:
        """Make one page like another."""
        self.memory[target] = self.memory[source]

    def discard(self, page: int) -> None:
        """Give the memory of a page back, where that is possible."""
        if self._space is None:
            return
        begin = -(-page * self.page_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (page + 1) * self.page_bytes // mmap.PAGESIZE * mmap.PAGESIZE
        if begin < end:
            self._space.madvise(mmap.MADV_DONTNEED, begin, end - begin)


class PageTable:
    """Which pages of some pools each of ``rows`` rows has.

    Attributes:
        table_RP: numbers of pages, on the device; 0: none.
        pools: what the pages are made of.
    """

    def __init__(self, rows: int, length: int, device: torch.device, pools: Sequence[Pool]) -> None:
        self.table_RP = torch.zeros(rows + 1, pages_of(length), dtype=torch.long, device=device)
        self.pools = tuple(pools)
        self._of: list[list[int]] = [[] for _ in range(rows)]
        self._users = [1]
        self._free: list[int] = []

    @property
    def page_bytes(self) -> int:
        """Bytes of one page in all pools."""
        return sum(pool.page_bytes for pool in self.pools)

    @property
    def held_bytes(self) -> int:
        """Bytes of the pages that rows have, those of several counted once; elsewhere than on a CPU, of all pages."""
        used = len(self._users) - 1 - len(self._free)
        return sum(pool.capacity_bytes or used * pool.page_bytes for pool in self.pools)

    def row_bytes(self, row: int) -> int:
        """Bytes of the pages of one row, shared or not."""
        return len(self._of[row]) * self.page_bytes

    def memory_for(self, more: int) -> int:
        """Bytes that must be free so that rows can have pages of ``more`` bytes beside those that they have."""
        used, pages = len(self._users) - len(self._free), -(-more // self.page_bytes)
        return sum(pool.memory_for(used, pages) for pool in self.pools)

    def make_room(self, row: int, start: int, end: int) -> None:
        """Let positions ``start`` to ``end`` - 1 of a row be written: with pages for them that are the row's alone."""
        if row == len(self._of):
            return
        pages = self._of[row]
        for number in range(min(start // PAGE, len(pages)), pages_of(end)):
            if number == len(pages):
                pages.append(self._take())
            elif self._users[pages[number]] > 1:
                shared, pages[number] = pages[number], self._take()
                self._leave(shared)
                for pool in self.pools:
                    pool.copy(shared, pages[number])
            else:
                continue
            self.table_RP[row, number] = pages[number]

    def truncate(self, row: int, length: int) -> None:
        """Give the pages back that hold no position before ``length``."""
        kept = pages_of(length)
        pages = self._of[row]
        if kept >= len(pages):
            return
        for page in pages[kept:]:
            self._leave(page)
        del pages[kept:]
        self.table_RP[row, kept:] = 0

    def share(self, source: int, target: int, length: int) -> None:
        """Let row ``target`` begin with the first ``length`` positions of ``source``, on the same pages."""
        if source == target:
            return
        self.truncate(target, 0)
        pages = self._of[source][: pages_of(length)]
        for page in pages:
            self._users[page] += 1
        self._of[target] = pages
        self.table_RP[target, : len(pages)] = self.table_RP[source, : len(pages)]

    def _take(self) -> int:
        if self._free:
            page = heapq.heappop(self._free)
        else:
            page = len(self._users)
            self._users.append(0)
            for pool in self.pools:
                pool.reach(page + 1)
        self._users[page] = 1
        return page

    def _leave(self, page: int) -> None:
        self._users[page] -= 1
        if not self._users[page]:
            heapq.heappush(self._free, page)
            for pool in self.pools:
                pool.discard(page)


def pages_of(length: int) -> int:
    """Pages that so many positions take."""
    return math.ceil(length / PAGE)


def most_pages(rows: int, length: int) -> int:
    """Pages that so many rows can have, and the one that is nobody's."""
    return rows * pages_of(length) + 1


def _reserve(size: int) -> mmap.mmap | None:
    """Address space of which no memory is taken before it is written to; null where the system refuses so much."""
    try:
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
    except OSError:
        return None
