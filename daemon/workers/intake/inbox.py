"""Which files are to be read now: those in the watched folders that changed, and have rested since."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from control.paths import Paths, is_ignored
from daemon import log
from daemon.workers.intake import folders
from daemon.workers.intake.folders import Signature
from daemon.workers.intake.ledger.sources import Sources
from daemon.workers.intake.pending import Pending, age_of
from daemon.workers.intake.watcher import Watcher

_logger = log.get(__name__)
_FLOOD = 4096
"""So many changes at once that the kernel, whose queue is four times as long, may have dropped some."""
_MOST_WAITING = 4096
"""Files that are waited for by name, at most. Where more change at once, the folders are not watched any more until
those were read; then they are watched again, and looked through."""


class Inbox:
    """The watched folders: the inbox, and those that the settings name besides."""

    def __init__(self, paths: Paths, sources: Sources, settle_seconds: float, wake: Callable[[], None]) -> None:
        """``sources`` says how files looked when they were read; ``wake`` is called in another thread on a change."""
        self._paths = paths
        self._sources = sources
        self._pending = Pending(settle_seconds)
        self._watcher = Watcher(wake)
        self._roots: list[Path] = []
        self._events_seen = 0
        self._overlooked = False

    @property
    def unwatched(self) -> dict[Path, str]:
        """Folders that cannot be watched, and why. They are looked through by `everything` all the same."""
        return self._watcher.unwatched

    def watch(self, others: Sequence[str], settle_seconds: float) -> None:
        """Watch the inbox, which is made where it is missing, and the ``others``."""
        self._pending.settle_seconds = settle_seconds
        try:
            folders.make_inbox(self._paths)
        except OSError as error:
            _logger.error("the inbox cannot be made", folder=str(self._paths.inbox), reason=str(error))  # noqa: TRY400
        self._roots = folders.roots_of(self._paths, tuple(others))
        self._watcher.watch(self._roots)

    def note_changes(self) -> None:
        """Take over what the watcher saw since the last call."""
        for name in self._watcher.take():
            if len(self._pending) >= _MOST_WAITING:
                self._watcher.pause()
                self._overlooked = True
                break
            if self._is_wanted(path := Path(name)):
                self._pending.note(path, time.monotonic())

    def everything(self) -> Iterator[Path]:
        """All files that are complete and not as they were when they were read. Others are waited for."""
        self._watcher.watch(self._roots)
        self._events_seen, self._overlooked = self._watcher.events, False
        for root in self._roots:
            yield from filter(self._is_news, folders.walk(root, self._paths))

    def due(self) -> Iterable[Path]:
        """Of the files that are waited for, those whose wait is over; of new folders, what is in them.

        After a flood of changes, everything, once nothing is waited for.
        """
        if self._is_to_be_looked_through:
            return self.everything()
        complete: list[Path] = []
        for path in self._pending.due(time.monotonic()):
            if folders.is_folder(path):
                self._pending.forget(path)
                complete += [file for file in folders.walk(path, self._paths) if self._is_news(file)]
            elif self._is_news(path):
                complete.append(path)
            elif folders.is_gone(path):
                self._pending.forget(path)
        return complete

    def next_due(self) -> float | None:
        """When to ask for what is `due` again, in monotonic seconds; none where nothing is waited for."""
        return time.monotonic() if self._is_to_be_looked_through else self._pending.next_due()

    def put_back(self, path: Path) -> None:
        """Wait again for a file that changed while it was read."""
        self._pending.note(path, time.monotonic())

    def forget(self, path: Path) -> None:
        """Stop waiting for a file that was read."""
        self._pending.forget(path)

    def stop(self) -> None:
        """Stop watching the folders."""
        self._watcher.stop()

    @property
    def _is_to_be_looked_through(self) -> bool:
        """Whether files may have changed that nobody told of, and all others were read."""
        return not self._pending and (self._overlooked or self._watcher.events - self._events_seen >= _FLOOD)

    def _is_wanted(self, path: Path) -> bool:
        if folders.is_own(path, self._paths):
            return False
        inside = [str(path)[len(str(root)) :] for root in self._roots if folders.is_under(path, root)]
        return any(not any(map(is_ignored, each.split("/"))) for each in inside)

    def _is_news(self, path: Path) -> bool:
        """Whether a file is complete and not as it was when it was read; one that is not complete is waited for."""
        try:
            signature = Signature.of(path.lstat())
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # of a folder that may not be entered, or too deep down: reading it says so
            return True
        if self._sources.signature_at(path) == signature:
            self._pending.forget(path)
            return False
        return self._pending.is_complete(path, signature, age_of(signature), time.monotonic())
