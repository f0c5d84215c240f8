"""Files that changed and are waited for: one is complete when it has not changed for a while."""

import time
from dataclasses import dataclass
from pathlib import Path

from daemon.workers.intake.folders import Signature

_PATIENCE = 30
"""A file that is written without pause is read after this many times the wait; its last line may then be cut off."""


@dataclass(slots=True)
class _Wait:
    signature: Signature | None
    due: float
    until: float


class Pending:
    """What changed, and when to look at it again. Times are monotonic seconds."""

    def __init__(self, settle_seconds: float) -> None:
        self.settle_seconds = settle_seconds
        self._waits: dict[Path, _Wait] = {}

    def __len__(self) -> int:
        return len(self._waits)

    def __contains__(self, path: Path) -> bool:
        return path in self._waits

    def note(self, path: Path, at: float) -> None:
        """Wait for ``path``, to which something happened at this monotonic time."""
        if path not in self._waits:
            self._waits[path] = _Wait(None, at + self.settle_seconds, at + _PATIENCE * self.settle_seconds)

    def forget(self, path: Path) -> None:
        """Stop waiting for a file that was read, or is gone."""
        self._waits.pop(path, None)

    def due(self, at: float) -> list[Path]:
        """What to look at now, in the order of names."""
        return sorted(path for path, wait in self._waits.items() if wait.due <= at)

    def is_complete(self, path: Path, signature: Signature, modified: float, at: float) -> bool:
        """Whether a file can be read now; if not, it is looked at again when it will have rested for the wait.

        Args:
            path: the file.
            signature: how it looks now.
            modified: seconds since it was changed, by its own time stamp; less than 0 where that lies ahead.
            at: now.
        """
        if modified >= self.settle_seconds:
            return True
        self.note(path, at)
        wait = self._waits[path]
        if wait.signature != signature:
            wait.signature, wait.due = signature, at + self.settle_seconds - max(modified, 0.0)
        return at >= min(wait.due, wait.until)

    def next_due(self) -> float | None:
        """When to look again; none where nothing is waited for."""
        return min((wait.due for wait in self._waits.values()), default=None)


def age_of(signature: Signature) -> float:
    """Seconds since a file was changed, by its own time stamp."""
    return time.time() - signature.mtime_ns / 1e9
