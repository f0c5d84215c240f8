"""Numbers for what people ask of workers: an evaluation, an import, a look through the inbox.

What a cycle asks for carries the number of the cycle, and its answer is known by that; so these begin far above.
"""

import itertools

_FIRST = 1_000_000_000


class RequestNumbers:
    """Each number once. Make one for the whole thord: answers of a worker are told apart by nothing else."""

    def __init__(self) -> None:
        self._numbers = itertools.count(_FIRST)

    def next(self) -> int:
        """A number that no cycle and no other request has."""
        return next(self._numbers)
