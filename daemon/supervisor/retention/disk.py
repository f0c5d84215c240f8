"""What of it lies on disk, how much, and how it goes: by rename into ``.trash``, then for good.

Only names that thord gives are looked at, no symbolic link is followed, and what others put there is left alone. A
crash between any two steps leaves something whole, or in ``.trash``, which the next call empties. All of it blocks.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from control.paths import Paths, is_ignored, version_name
from daemon.supervisor.retention.plan import Kind
from engine.artifacts import MANIFEST

EVALUATION, METRICS = "evaluation.json", "metrics.jsonl"
RECORDS = frozenset({MANIFEST, EVALUATION})
"""What stays of a version when its weights go."""
_PARTS_OF_RUN = ("checkpoints", "data", "tokenizer")
_FIGURES_OF_RUN = frozenset({METRICS, "eval", "wandb"})
_NUMBER = re.compile(r"\d{6,18}")
_JOB = re.compile(r"job-(\d{6,18})")
_JOB_OR_NUMBER = re.compile(r"(?:job-)?\d{6,18}")
_EVALUATIONS = "eval"
_TRASH = ".trash"


def numbers(folder: Path) -> list[int]:
    """The numbered folders in ``folder``; links and whatever else is called like that are none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        return sorted(int(name) for name in found if _NUMBER.fullmatch(name))
    return []


def jobs(folder: Path) -> list[int]:
    """The numbers of jobs that have a folder in ``folder``."""
    return sorted(int(found[1]) for name in names(folder) if (found := _JOB.fullmatch(name)))


def names(folder: Path) -> list[str]:
    """What lies in ``folder`` and is whole: no links, no hidden and no unfinished files."""
    return [path.name for path in _entries(folder) if not is_ignored(path.name)]


def parts(paths: Paths, kind: Kind, number: int, name: str = "") -> list[Path]:
    """What goes of a thing; empty where all of it is gone."""
    folder = name or version_name(number)
    match kind:
        case "version" | "rejected":
            return [path for path in _entries(paths.version(number)) if path.name not in RECORDS]
        case "artifact":
            folder_of_run = paths.artifacts / "models" / name
            held = [*_entries(folder_of_run), *_links(folder_of_run, paths.versions)]
            weights = [path for path in held if path.name not in RECORDS | {_EVALUATIONS, _TRASH}]
            return [*parts(paths, "version", number), *weights]
        case "run" | "published run":
            return [path for path in _entries(paths.runs / folder) if path.name in _PARTS_OF_RUN]
        case "snapshot":
            return _folder(paths.snapshots / folder)
        case "figures":
            metrics = [path for path in _entries(paths.runs / folder) if path.name in _FIGURES_OF_RUN]
            return [*metrics, *_folder(paths.tensorboard / folder)]
        case "tokenizer":
            return _folder(paths.artifacts / "tokenizers" / name)
        case "corpus":
            return [path for path in _entries(paths.corpora) if path.name == name]


def size(found: list[Path]) -> int:
    """Bytes on the disk of files and all below folders, each file once whatever its links."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for path in found:
        for status in _statuses(path):
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_blocks * 512
    return total


def remove(found: list[Path]) -> list[str]:
    """Remove files and folders; what could not be is said, and what is gone already counts as done.

    Each goes out of sight by rename before anything of it is deleted.
    """
    complaints = []
    for path in found:
        trash = _trash_of(path)
        try:
            trash.mkdir(exist_ok=True)
            path.rename(trash / f"{path.parent.name}-{path.name}")
        except FileNotFoundError:
            continue
        except OSError as error:
            complaints.append(f"{path}: {error.strerror}")
    for trash in dict.fromkeys(map(_trash_of, found)):
        complaints += _empty(trash)
    return complaints


def finish(paths: Paths, purged: Mapping[int, str]) -> list[str]:
    """Remove what is left of purged versions, and what lies in ``.trash``; what could not be is said.

    ``purged`` has the run whose artifacts hold a version, and nothing for the others.
    """
    kinds: dict[bool, Kind] = {True: "artifact", False: "version"}
    complaints = remove(
        [part for number, run in purged.items() for part in parts(paths, kinds[bool(run)], number, run)]
    )
    models = paths.artifacts / "models"
    places = [paths.versions, paths.runs, paths.snapshots, paths.tensorboard, paths.artifacts / "tokenizers"]
    for place in (*places, paths.corpora, *(models / name for name in names(models))):
        complaints += _empty(place / _TRASH)
    return complaints


def free_bytes(paths: Paths) -> int:
    """What is free where models lie."""
    return shutil.disk_usage(paths.models).free


def _trash_of(path: Path) -> Path:
    """On the same file system as the thing: beside the numbered folder that it is, or is in."""
    folder = path.parent if _JOB_OR_NUMBER.fullmatch(path.parent.name) else path
    return folder.parent / _TRASH


def _empty(trash: Path) -> list[str]:
    complaints: list[str] = []
    if trash.is_dir() and not trash.is_symlink():
        for path in _entries(trash):
            try:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                complaints.append(f"{path}: {error.strerror}")
        with contextlib.suppress(OSError):
            trash.rmdir()
    return complaints


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder; nothing in one that is a link or is gone. Links among it are left out."""
    if folder.is_symlink():
        return []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if not entry.is_symlink())
    return []


def _links(folder: Path, target: Path) -> list[Path]:
    """The links in a folder that lead to something below ``target``, whether that is there or gone."""
    if folder.is_symlink():
        return []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        links = sorted(folder / entry.name for entry in entries if entry.is_symlink())
        return [link for link in links if link.readlink().is_relative_to(target)]
    return []


def _folder(path: Path) -> list[Path]:
    return [path] if path.is_dir() and not path.is_symlink() else []


def _statuses(path: Path) -> Iterator[os.stat_result]:
    with contextlib.suppress(FileNotFoundError):
        yield path.lstat()
        if path.is_dir() and not path.is_symlink():
            for folder, folders, files in os.walk(path):
                for name in (*folders, *files):
                    with contextlib.suppress(FileNotFoundError):
                        yield (Path(folder) / name).lstat()
