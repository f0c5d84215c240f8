"""What retention asks about the use of versions; `learning.in_use` answers."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Use(Protocol):
    """Who uses which version now."""

    @property
    def serving(self) -> int | None:
        """The version that serves, or null."""
        ...

    def busy(self) -> dict[int, str]:
        """Versions that may not go now, each with what is done with it."""
        ...

    def removed(self, version: int) -> None:
        """The weights of a version are about to go: nobody may keep them in memory any more."""
        ...

    def still(self) -> AbstractAsyncContextManager[None]:
        """Keep swaps from beginning until the block ends."""
        ...
