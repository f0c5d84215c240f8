"""The folders of a home: made when they are missing, with modes that keep strangers out."""

import tempfile
from pathlib import Path

from control.paths import WATCHED, Paths
from daemon.supervisor.start_error import StartError

UMASK = 0o027
"""Files and folders that thord makes are for its own user, and readable for its group."""


def prepare(paths: Paths) -> None:
    """Make every folder that is missing. Those that exist keep their modes.

    Raises:
        StartError: one cannot be made, or not be written.
    """
    private = (paths.state, paths.logs, paths.run, paths.segments, paths.quarantine, paths.snapshots, paths.runs)
    for folder in (*private, paths.versions, paths.backups, paths.tensorboard):
        _make(folder, 0o750)
    for folder in (paths.inbox, *(paths.inbox / name for name in WATCHED)):
        _make(folder, 0o770)  # the group may drop conversations
    for folder in (paths.state, paths.logs, paths.run):
        _check_writable(folder)


def _make(folder: Path, mode: int) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        folder.chmod(mode)
    except FileExistsError as error:
        if not folder.is_dir():
            raise StartError(f"cannot make {folder}: {error.filename} is not a folder; {_REMEDY}") from None
    except OSError as error:
        raise StartError(f"cannot make {folder}: {error.strerror}; {_REMEDY}") from None


def _check_writable(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StartError(f"cannot write to {folder}: {error.strerror}; {_REMEDY}") from None


_REMEDY = "make it writable for this user, or choose another home with --home DIR"
