"""The folders of a home: made when they are missing, with modes that keep strangers out."""

import tempfile
from pathlib import Path

from control.paths import WATCHED, Paths
from daemon.settings.sections import PathSettings
from daemon.supervisor.start_error import StartError

UMASK = 0o027
"""Files and folders that thord makes are for its own user, and readable for its group."""


def prepare(paths: Paths, elsewhere: PathSettings | None = None) -> None:
    """Make every folder that is missing. Those that exist keep their modes.

    Args:
        paths: the places of this thord.
        elsewhere: folders that lie in other places: what is in the home becomes a link to them, so that whoever looks
            at the home, now or with other settings, finds them.

    Raises:
        StartError: one cannot be made, or not be written, or holds files where a link would be.
    """
    if elsewhere is not None:
        _make(paths.state, 0o750)
        named = {paths.artifacts: elsewhere.artifacts, paths.runs: elsewhere.runs, paths.logs: elsewhere.logs}
        for folder, target in named.items():
            if target is not None:
                _link(folder, Path(target).expanduser())
    private = (paths.state, paths.logs, paths.run, paths.segments, paths.quarantine, paths.snapshots, paths.runs)
    for folder in (*private, paths.versions, paths.backups, paths.tensorboard):
        _make(folder, 0o750)
    for folder in (paths.inbox, *(paths.inbox / name for name in WATCHED)):
        _make(folder, 0o770)  # the group may drop conversations
    for folder in (paths.state, paths.logs, paths.run):
        _check_writable(folder)


def _link(folder: Path, target: Path) -> None:
    if target == folder:
        return
    _make(target, 0o750)
    if folder.resolve() == target.resolve():
        return
    try:
        if folder.is_symlink():
            folder.unlink()
        elif folder.is_dir():
            folder.rmdir()
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.symlink_to(target)
    except OSError as error:
        what = "it holds files" if folder.is_dir() and not folder.is_symlink() else error.strerror
        raise StartError(
            f"cannot make {folder} a link to {target}: {what}; move them there, or unset paths.{folder.name}"
        ) from None


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
