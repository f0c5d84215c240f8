"""Folders that are complete or absent: published by rename, with sums in a manifest. Torch is not needed."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from engine import disk

MANIFEST = "manifest.json"
_CHUNK = 1 << 20
Kind = TypeVar("Kind", bound=BaseModel)


class ArtifactError(Exception):
    """A folder that is not what its manifest says; the message names the file and the difference."""


class FileRecord(BaseModel):
    """One file of an artifact."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    size: int


@contextlib.contextmanager
def publishing(folder: Path) -> Iterator[Path]:
    """A draft folder that becomes ``folder`` when the block ends, and vanishes if the block fails.

    Files, folder and parent are fsynced around the rename, so after a power cut the folder is complete or absent.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".tmp-{folder.name}-", dir=folder.parent))
    try:
        yield draft
        for file in sorted(draft.rglob("*")):
            if file.is_file():
                disk.sync(file)
        disk.sync(draft)
        draft.chmod(0o755)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    disk.sync(folder.parent)


def sweep_drafts(parent: Path) -> None:
    """Remove drafts that a crash left in ``parent``. Only for the one who publishes there."""
    for draft in parent.glob(".tmp-*"):
        shutil.rmtree(draft, ignore_errors=True)


def record_files(folder: Path) -> dict[str, FileRecord]:
    """Sum and size of every file in ``folder`` but the manifest."""
    files = (file for file in sorted(folder.iterdir()) if file.is_file() and file.name != MANIFEST)
    return {file.name: FileRecord(sha256=sha256_of(file), size=file.stat().st_size) for file in files}


def sha256_of(file: Path) -> str:
    """The sum of one file, in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def check_files(folder: Path, files: Mapping[str, FileRecord]) -> None:
    """Check files against their records, sizes first because they are cheap.

    Raises:
        ArtifactError: a file is missing, of another size, or of another sum.
    """
    for name, record in files.items():
        try:
            size = (folder / name).stat().st_size
        except OSError as error:
            raise ArtifactError(f"{folder / name}: {error.strerror}") from error
        if size != record.size:
            raise ArtifactError(f"{folder / name}: {size} bytes, the manifest says {record.size}")
    for name, record in files.items():
        found = sha256_of(folder / name)
        if found != record.sha256:
            raise ArtifactError(f"{folder / name}: sha256 is {found}, the manifest says {record.sha256}")


def point(link: Path, target: Path) -> None:
    """Make ``link`` a symbolic link to ``target`` (relative, beside it) in one rename: the commit point of a swap.

    Raises:
        OSError: the disk refused.
    """
    with disk.draft(link) as draft:
        draft.symlink_to(os.path.relpath(target, link.parent))


def current_version(link: Path) -> int | None:
    """The number of the version that ``link`` points to; null if there is no such link."""
    try:
        return int(link.readlink().name)
    except (FileNotFoundError, ValueError):
        return None


def read_json(file: Path, kind: type[Kind]) -> Kind:
    """What a JSON file holds.

    Raises:
        ArtifactError: it is missing, or holds something else.
    """
    try:
        return kind.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise ArtifactError(f"{file}: {error}") from error
