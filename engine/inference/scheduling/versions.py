"""What the scheduler needs to know of the versions in memory; `engine.inference.versions` has them."""

from collections.abc import Sequence
from typing import Protocol

from engine.inference.scheduling.cache_rows import CacheRows


class TokenBytes(Protocol):
    """What tokens stand for."""

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """The bytes of tokens, which may end within a character."""
        ...


class ServedModel(Protocol):
    """What the scheduler needs to know of a version in memory."""

    @property
    def version(self) -> int:
        """Its number."""
        ...

    @property
    def context(self) -> int:
        """Tokens that prompt and answer may have together."""
        ...

    @property
    def prompt_step(self) -> int:
        """As `engine.inference.runner.Runner`."""
        ...

    @property
    def rows(self) -> CacheRows:
        """The rows of its cache."""
        ...

    @property
    def tokenizer(self) -> TokenBytes:
        """How its tokens are read."""
        ...


class Versions(Protocol):
    """The versions in memory."""

    @property
    def serving(self) -> ServedModel | None:
        """Where new requests go."""
        ...

    @property
    def expects_one(self) -> bool:
        """Some version serves, or is on its way."""
        ...

    @property
    def in_memory(self) -> Sequence[ServedModel]:
        """Every version that takes memory."""
        ...

    def get(self, version: int) -> ServedModel:
        """A version that something is bound to."""
        ...

    def enter(self, pin: int | None) -> ServedModel | None:
        """Bind a request to the version ``pin``, or to the one that serves. None: one is on its way.

        Raises:
            LookupError: nothing serves, or the version takes no requests.
        """
        ...

    def leave(self, version: int) -> None:
        """A request that `enter` bound has ended."""
        ...

    def is_overdue(self, version: int) -> bool:
        """It was replaced, and its requests have had their time to finish."""
        ...

    def let_one_go(self) -> bool:
        """Drop a version that is only kept, and that nothing is bound to. False: there is none."""
        ...

    def free_for_caches(self, version: int) -> int:
        """Bytes that the caches of a version may still grow into."""
        ...
