"""The folders that are watched: which files in them count, and how one is opened without being caught by it."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from control.paths import WATCHED, Paths, is_ignored

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link: links are not followed; copy the file here, or add its folder to paths.watch",
}


class UnreadableError(Exception):
    """A file that is there but cannot be read, and why, in words for the person who put it there."""


class Signature(NamedTuple):
    """What changes when a file does."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Signature":
        """The signature in a file's status."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def make_inbox(paths: Paths) -> None:
    """Create the inbox folders.

    Raises:
        OSError: they cannot be made.
    """
    for name in WATCHED:
        (paths.inbox / name).mkdir(parents=True, exist_ok=True)


def roots_of(paths: Paths, watch: tuple[str, ...]) -> list[Path]:
    """The inbox and the configured folders, without those that lie inside another."""
    wanted = [paths.inbox, *(Path(folder).expanduser().absolute() for folder in watch)]
    return [root for root in dict.fromkeys(wanted) if not any(other in root.parents for other in wanted)]


def is_corpus(path: Path) -> bool:
    """Whether a file lies in a folder named ``corpus``: there text is learned whatever it looks like."""
    return "corpus" in path.parent.parts


def is_own(path: Path, paths: Paths) -> bool:
    """Whether ``path`` is thord's own data, which is never learned from even where a watched folder holds it."""
    if path == (inbox := paths.inbox) or is_under(path, inbox):
        return False
    databases = (paths.ledger, paths.database, paths.chats)
    is_database = path.parent == paths.state and path.name.startswith(tuple(own.name for own in databases))
    return is_database or any(
        path == own or own in path.parents
        for own in (
            *(paths.segments, paths.quarantine, paths.snapshots, paths.runs, paths.models, paths.backups),
            *(paths.tensorboard, paths.corpora, paths.logs, paths.run, paths.config),
            *(paths.training_summary, paths.lock_file, paths.now_reading),
        )
    )


def is_under(path: Path, folder: Path) -> bool:
    """Whether ``path`` lies in a folder or in one inside it, by their names alone."""
    return str(path).startswith(f"{str(folder).rstrip('/')}/")


def walk(root: Path, paths: Paths) -> Iterator[Path]:
    """Every file under ``root`` that is not ignored, and every folder that cannot be listed."""
    waiting = [root]
    may_hold_own = root != paths.inbox and paths.inbox not in root.parents
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            yield folder
            continue
        for entry in found:
            path = folder / entry.name
            if is_ignored(entry.name) or (may_hold_own and is_own(path, paths)):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            else:
                yield path


def is_folder(path: Path) -> bool:
    """Whether it is a folder itself, as far as may be seen."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def is_gone(path: Path) -> bool:
    """Nothing is there any more. What only cannot be looked at is there for as long as its folder is."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return is_gone(path.parent)
    return False


def can_be_listed(path: Path) -> bool:
    """It is a folder itself, and may be looked into."""
    try:
        os.scandir(path).close()
    except OSError:
        return False
    return is_folder(path)


def open_file(path: Path) -> int:
    """A descriptor of a regular file; never blocks, never follows a link.

    Raises:
        FileNotFoundError: it is gone.
        UnreadableError: it is not a regular file, or may not be read.
    """
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            raise UnreadableError(f"not a file but {_KINDS.get(stat.S_IFMT(mode), 'a folder that cannot be listed')}")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ENXIO, errno.ELOOP):  # it was replaced while we looked
            raise FileNotFoundError(str(path)) from error
        raise UnreadableError(f"cannot be read: {error.strerror}; give thord's user the right to read it") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(str(path))
    return descriptor
