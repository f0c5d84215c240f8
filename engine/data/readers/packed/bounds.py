"""How much a packed file may unpack to, and how its unpacking ends early."""

from dataclasses import dataclass, field

RATIO = 250
"""Unpacked bytes for each packed one. Conversations shrink to a tenth or a fiftieth; zeros to a thousandth."""

FREE_BYTES = 64 << 20
"""So much may be unpacked at any ratio: a small file of repeated lines is not a bomb."""

TOTAL_BYTES = 16 << 30
"""Unpacked bytes of one file, all members together: eight times what a plain file may have by default."""

MEMBERS = 100_000
"""Members of one file, all archives in it together."""

DIRECTORY_BYTES = 16 << 20
"""Bytes of a zip's directory, which is held in memory: enough for as many members as are allowed."""

DEPTH = 2
"""Packed files inside each other, such as gzip in a zip; a compressed tar counts once."""

KEPT_BYTES = 16 << 20
"""The beginning of a member that stays in memory, so that readers can go back in it."""

MEMORY_BYTES = 64 << 20
"""A member that is read here and there (zip, Parquet, SQLite) is unpacked into memory, up to this size."""

WINDOW_BYTES = 128 << 20
"""Memory that a decompressor may take: what `xz -9` and `zstd --long` need."""


class UnpackError(Exception):
    """Why a member cannot be read, or not to its end. Not an `OSError`, so that a failing disk is told apart."""


class BoundError(UnpackError):
    """The file breaks a bound as a whole: nothing more of it is unpacked."""


@dataclass(slots=True)
class Budget:
    """What one packed file has unpacked so far."""

    packed: int
    unpacked: int = 0
    members: int = 0

    def spend(self, count: int) -> None:
        """``count`` more bytes are unpacked.

        Raises:
            BoundError: they are too many.
        """
        self.unpacked += count
        if self.unpacked > TOTAL_BYTES:
            raise BoundError(f"it unpacks to more than {TOTAL_BYTES >> 30} GB: unpack it, and split it")
        if self.unpacked > max(FREE_BYTES, RATIO * self.packed):
            raise BoundError(f"it unpacks to more than {RATIO} times its size, as a bomb does: unpack it yourself")

    def count_member(self) -> None:
        """One more member begins.

        Raises:
            BoundError: they are too many.
        """
        self.members += 1
        if self.members > MEMBERS:
            raise BoundError(f"it has more than {MEMBERS} members: unpack it")


@dataclass(frozen=True, slots=True)
class Nesting:
    """Where in a packed file a stream lies.

    Attributes:
        depth: how many packed files are around it.
        is_bare: whether the innermost of them is only compressed, so that an archive in it belongs to it.
    """

    budget: Budget
    depth: int = field(default=0)
    is_bare: bool = False
