"""The rows of one version's cache: which are free, and what prompts they still begin with.

A row that is given back keeps what was read into it, and a later prompt that begins alike goes on from there: both
share the memory of what is alike. What was used longest ago is overwritten first, or forgotten where memory is short.
Rows belong to one version, so what another version computed is never found.

Memory is promised to a sequence for all that it may come to, when it is given a row, and taken as the row grows. So
none that has begun ever waits for memory, or fails for want of it.

Only whole chunks of a prompt are found again, and never a prompt's last token. So what is left is read in the same
chunks, in the same shapes, as without reuse, and answers are the same bit for bit. For this reason, too, what was
generated is not found: it was computed in another shape than a prompt is.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from engine.inference.scheduling.batching import CHUNK


class RowMemory(Protocol):
    """What rows of a cache need of it: see `engine.models.base.Cache`, which has all of it and more."""

    @property
    def rewinds(self) -> bool:
        """A row can go on from any position that it has passed."""
        ...

    def row_bytes(self, row: int) -> int:
        """Bytes that a row has taken, those included that it shares."""
        ...

    def bytes_for(self, positions: int) -> int:
        """Bytes that a row of so many positions takes."""
        ...

    def memory_for(self, more: int) -> int:
        """Bytes of memory that must be free so that rows can take ``more`` bytes."""
        ...

    def copy(self, source: int, target: int, length: int) -> None:
        """Let row ``target`` begin with the first ``length`` positions of row ``source``."""
        ...

    def truncate(self, row: int, length: int) -> None:
        """Give the memory back of what a row holds beyond ``length`` positions."""
        ...


class CacheRows:
    """Rows 0 to ``count`` - 1 of ``cache``.

    Attributes:
        count: how many rows there are.
        free: rows that no sequence has, in the order in which they are overwritten.
    """

    def __init__(self, cache: RowMemory, count: int) -> None:
        self.count = count
        self.free: OrderedDict[int, None] = OrderedDict.fromkeys(range(count))
        self._cache = cache
        self._read: list[list[int]] = [[] for _ in range(count)]
        self._begun: list[list[int]] = [[] for _ in range(count)]  # of the chunk behind what is in `_read`
        self._promised: dict[int, int] = {}

    def bytes_for(self, positions: int) -> int:
        """Bytes that a row of so many positions takes."""
        return self._cache.bytes_for(positions)

    @property
    def promised_bytes(self) -> int:
        """What rows in use may yet take."""
        return sum(max(0, promised - self._cache.row_bytes(row)) for row, promised in list(self._promised.items()))

    def memory_for(self, prompt: Sequence[int], positions: int, *, reuse: bool) -> int:
        """Bytes that must be free so that `take` can promise what it does, and all rows in use find what they were."""
        _, length = self._found(prompt, reuse=reuse)
        more = self._cache.bytes_for(positions) - self._cache.bytes_for(length)
        return self._cache.memory_for(self.promised_bytes + more)

    @property
    def busy(self) -> bool:
        """Some row is in use."""
        return bool(self._promised)

    @property
    def keeps(self) -> bool:
        """Some free row has something that `forget_oldest` would give back."""
        return any(self._read[row] for row in self.free)

    def forget_oldest(self) -> None:
        """Give the memory back of the free row that was used longest ago, of those that have any."""
        row = next(row for row in self.free if self._read[row])
        self._read[row].clear()
        self._cache.truncate(row, 0)
        self.free.move_to_end(row, last=False)

    def take(self, prompt: Sequence[int], positions: int, *, reuse: bool) -> tuple[int, int]:
        """A free row for a prompt, and how many of its tokens are in there already (0 without ``reuse``).

        It is promised memory for ``positions`` in all.

        Raises:
            KeyError: no row is free.
        """
        found, length = self._found(prompt, reuse=reuse)
        if length and found in self.free and (length == len(self._read[found]) or len(self.free) == 1):
            row = found
        else:
            row = next((free for free in self.free if free != found), found) if length else next(iter(self.free))
            if length:
                self._cache.copy(found, row, length)
        del self.free[row]
        del self._read[row][length:]
        self._begun[row].clear()
        self._cache.truncate(row, length)
        self._promised[row] = self._cache.bytes_for(positions)
        if found != row and length:
            self._read[row][:] = prompt[:length]
            if found in self.free:
                self.free.move_to_end(found)
        return row, length

    def share(self, reader: int, other: int, length: int) -> None:
        """Copy what a row has read of a prompt to another row that waits for it."""
        self._cache.copy(reader, other, length)

    def wrote(self, row: int, tokens: Sequence[int]) -> None:
        """The next piece of a prompt was read into a row."""
        begun = self._begun[row]
        begun += tokens
        whole = len(begun) // CHUNK * CHUNK
        self._read[row] += begun[:whole]
        del begun[:whole]

    def after_branch(self, row: int, length: int) -> int:
        """How many positions of a row still count, once something was read behind ``length`` of them for nothing."""
        if not self._cache.rewinds:
            self._read[row].clear()
            self._begun[row].clear()
            return 0
        self._cache.truncate(row, length)
        return length

    def give_back(self, row: int) -> None:
        """No sequence has it any more. One with nothing to find again is the first to be overwritten."""
        del self._promised[row]
        self._cache.truncate(row, len(self._read[row]))
        self.free[row] = None
        if not self._read[row]:
            self.free.move_to_end(row, last=False)

    def _found(self, prompt: Sequence[int], *, reuse: bool) -> tuple[int, int]:
        return self._longest(prompt) if reuse and self._cache.rewinds else (0, 0)

    def _longest(self, prompt: Sequence[int]) -> tuple[int, int]:
        """The row that begins most like a prompt, and how many of its tokens can be used."""
        best, length = 0, 0
        for row, read in enumerate(self._read):
            most = min(len(read), len(prompt) - 1) // CHUNK * CHUNK
            while length < most and read[: length + CHUNK] == prompt[: length + CHUNK]:
                best, length = row, length + CHUNK
        return best, length
