"""The second step: out of segments, snapshots and the files of the inbox, and out of the database's free pages.

It looks at everything and needs no list of what is to go, so it may be interrupted and repeated at any point.
"""

from collections.abc import Callable
from pathlib import Path

from control.paths import Paths
from daemon import log
from daemon.messages import Erase, Erased
from daemon.settings.sections import Tables
from daemon.workers.intake import folders
from daemon.workers.intake.batches import StoppingError
from daemon.workers.intake.folders import Signature
from daemon.workers.intake.forgetting import inbox_files
from daemon.workers.intake.forgetting.taking_out import FILES
from daemon.workers.intake.ledger.database import StorageError
from daemon.workers.intake.ledger.ledger import Ledger
from daemon.workers.reading import limits_of
from engine import artifacts, disk
from engine.data import snapshot
from engine.data.snapshot import Example
from engine.data.storable import storable_path

_logger = log.get(__name__)


def erase(command: Erase, ledger: Ledger, paths: Paths, settings: Tables, advance: Callable[[], None]) -> Erased:
    """Erase what was taken out of the ledger. ``advance`` is called for everything looked at, and may raise to stop.

    Raises:
        StorageError: the ledger cannot be written.
        OSError: another file cannot be written.
    """
    whole = _remove(command.source, ledger, paths)
    cut, removed, unreadable = _from_inbox(ledger, paths, settings, advance)
    erased = ledger.erase_what_nothing_names()
    artifacts.sweep_drafts(paths.snapshots)
    snapshots = _from_snapshots(ledger, paths, advance)
    ledger.compact()
    _logger.info("erased", bytes_in_segments=erased, snapshots=snapshots, files_cut=len(cut), removed=len(removed))
    removed = [*whole, *removed]
    return Erased(
        to=command.id,
        files_cut=_named(cut),
        files_removed=_named(removed),
        files_unreadable=_named(unreadable),
        files_unnamed=sum(len(files[FILES:]) for files in (cut, removed, unreadable)),
    )


def _remove(source: str | None, ledger: Ledger, paths: Paths) -> list[Path]:
    """Remove the files of the inbox that are called so."""
    named = ledger.catalog.paths_called(source) if source is not None else []
    found = [path for path in named if paths.inbox in path.parents and path.is_file()]
    for path in found:
        path.unlink()
        disk.sync(path.parent)
    return found


def _from_inbox(
    ledger: Ledger, paths: Paths, settings: Tables, advance: Callable[[], None]
) -> tuple[list[Path], list[Path], list[Path]]:
    """Files that were cut, that were removed, and that could not be read."""
    limits = limits_of(settings.data, settings.all_tasks)
    fates: dict[inbox_files.Fate, list[Path]] = {"untouched": [], "cut": [], "removed": []}
    unreadable: list[Path] = []
    for path in list(folders.walk(paths.inbox, paths)):
        advance()
        if path.is_symlink() or not path.is_file():
            continue
        if ledger.suspects.is_poison(path, Signature.of(path.lstat())):
            unreadable.append(path)
            continue
        try:
            fate = inbox_files.forget_in(path, limits, ledger.forgotten.holds, advance)
        except PermissionError:
            unreadable.append(path)
            continue
        except (StoppingError, StorageError, OSError):
            raise
        except Exception:  # of a reader, which must not stop the rest
            _logger.exception("reading a file failed; what is forgotten may be in it", file=storable_path(path))
            unreadable.append(path)
            continue
        fates[fate].append(path)
        if fate != "untouched":
            with ledger.transaction():
                ledger.forgettings.clear_refusals(path)
    return fates["cut"], fates["removed"], unreadable


def _from_snapshots(ledger: Ledger, paths: Paths, advance: Callable[[], None]) -> int:
    """How many snapshots held any of it."""

    def is_kept(example: Example) -> bool:
        advance()
        return not ledger.forgotten.holds(example.sample, example.identity)

    return sum(snapshot.drop(folder, is_kept) > 0 for folder in snapshot.all_published(paths.snapshots))


def _named(files: list[Path]) -> tuple[str, ...]:
    return tuple(storable_path(file) for file in files[:FILES])
