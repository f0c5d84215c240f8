"""Notices at once what changes in the watched folders, by inotify. What it may miss, a rescan finds."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from control.paths import is_ignored
from daemon import log
from engine.data.storable import storable_path

_logger = log.get(__name__)
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]


class Watcher(FileSystemEventHandler):
    """Keeps the set of paths that changed; `wake` is called, in a thread of watchdog's, when the first one enters.

    Attributes:
        unwatched: folders that cannot be watched, and why.
        events: how many changes the kernel told of so far.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._changed: set[str] = set()
        self._lock = threading.Lock()
        self._observer: BaseObserver | None = None
        self._watches: dict[Path, tuple[ObservedWatch, int]] = {}
        self.unwatched: dict[Path, str] = {}
        self.events = 0

    def watch(self, roots: list[Path]) -> None:
        """Watch these folders and no others. One that cannot be watched is named in the log, and still rescanned."""
        if self._observer is None:
            self._observer = Observer()
            self._observer.start()
        self.unwatched = {root: reason for root, reason in self.unwatched.items() if root in roots}
        for root in [root for root in self._watches if root not in roots or self._was_replaced(root)]:
            watch, _ = self._watches.pop(root)
            self._observer.unschedule(watch)
        for root in roots:
            if root not in self._watches:
                self._begin(self._observer, root)

    def pause(self) -> None:
        """Watch nothing until `watch` is called: in a flood of changes, to be told of each costs more than to look."""
        if self._observer is not None:
            for watch, _ in self._watches.values():
                self._observer.unschedule(watch)
        self._watches.clear()

    def take(self) -> set[str]:
        """Return the paths that changed since the last call, and begin anew."""
        with self._lock:
            changed, self._changed = self._changed, set()
        return changed

    def stop(self) -> None:
        """Stop watching all folders."""
        if self._observer is not None:
            self._observer.stop()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note a changed path; watchdog calls this in its thread."""
        self.events += 1
        path = os.fsdecode(event.dest_path or event.src_path)
        if is_ignored(os.path.basename(path)):  # noqa: PTH119 - there are three events for each file that is written
            return
        with self._lock:
            is_first = not self._changed
            self._changed.add(path)
        if is_first:
            self._wake()

    def _begin(self, observer: BaseObserver, root: Path) -> None:
        try:
            inode = root.stat().st_ino
            watch = observer.schedule(self, str(root), recursive=True, event_filter=_EVENTS)
        except OSError as error:
            if root not in self.unwatched:
                _logger.warning("a folder cannot be watched", folder=storable_path(root), reason=_remedy(error))
            self.unwatched[root] = _remedy(error)
            return
        self.unwatched.pop(root, None)
        self._watches[root] = (watch, inode)

    def _was_replaced(self, root: Path) -> bool:
        """The folder was removed, or another one stands in its place: the kernel's watch is on the old one."""
        try:
            return root.stat().st_ino != self._watches[root][1]
        except OSError:
            return True


def _remedy(error: OSError) -> str:
    reason = error.strerror or str(error)
    if "inotify" in reason:
        return f"{reason}: raise fs.inotify.max_user_watches with sysctl; until then it is read before each cycle"
    return f"{reason}; it is looked for again before each cycle"
