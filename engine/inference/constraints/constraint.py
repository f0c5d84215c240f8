"""What the scheduler knows of a constraint. What makes one, by llguidance, is in `compiler`; torch is not needed."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Allowed = NDArray[np.bool_]
"""For each token of a vocabulary, whether it may come next."""


class StructureError(ValueError):
    """A structure that cannot be kept to: it is not understood, or it costs too much. The message says why."""


class Progress(Protocol):
    """How far one answer has come in its structure. Used by one thread at a time."""

    def consume(self, token: int) -> None:
        """Go on by a token.

        Raises:
            StructureError: the structure does not allow it.
        """
        ...

    def allowed(self) -> Allowed | None:
        """The tokens that may come next; None: all.

        Raises:
            StructureError: none may, or it took too much to find out.
        """
        ...


class RowMask(Protocol):
    """The tokens that one answer may go on with. They are worked out by another thread than the engine's."""

    @property
    def ready(self) -> bool:
        """`allowed` and `failure` are those after the newest token."""
        ...

    @property
    def slow(self) -> bool:
        """It is not worth waiting for."""
        ...

    @property
    def allowed(self) -> Allowed | None:
        """The tokens that may come next; None: all."""
        ...

    @property
    def failure(self) -> str:
        """Why nothing can come next; empty where something can."""
        ...

    def advance(self, token: int) -> None:
        """Have it worked out what may follow this token."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait until it is ready, for so long at most."""
        ...


class Constraint(Protocol):
    """What every answer to a request must look like."""

    def begin(self) -> RowMask:
        """The mask of a new answer, ready at once."""
        ...
