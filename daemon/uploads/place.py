"""What a place to upload to can do, and how files are told from others: by SHA-256."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

_BLOCK = 1 << 20


class UploadError(Exception):
    """A place did not take the files, or has others; the message says which and why."""


class Place(Protocol):
    """Somewhere that copies go."""

    def put(self, name: str, folder: Path, files: Iterable[str]) -> str:
        """Copy files of ``folder`` to the place, under ``name``; the address where a person finds them.

        Raises:
            UploadError: the place did not take them.
        """
        ...

    def sums(self, name: str, folder: Path, files: Iterable[str]) -> Mapping[str, str]:
        """SHA-256 of what the place has of these files, read back from there; those that it lacks are left out.

        Raises:
            UploadError: the place cannot be asked.
        """
        ...


def files_of(folder: Path, links_into: Path | None = None) -> list[str]:
    """Every file below a folder, as a path inside it, sorted.

    Hidden files are left out, and so are links, but those to files below ``links_into``.
    """

    def is_ours(path: Path) -> bool:
        return not path.is_symlink() or (links_into is not None and path.resolve().is_relative_to(links_into.resolve()))

    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and is_ours(path) and not any(part.startswith(".") for part in path.parts[-2:])
    )


def sum_of(blocks: Iterable[bytes]) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def sum_of_file(file: Path) -> str:
    """SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        return sum_of(iter(lambda: stream.read(_BLOCK), b""))


def compare(expected: Mapping[str, str], found: Mapping[str, str], address: str) -> None:
    """Whether a place has the files.

    Raises:
        UploadError: naming the first ones that it lacks or has otherwise.
    """
    wrong = [name for name, total in expected.items() if found.get(name) != total]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UploadError(f"{address}: the sums differ, or the files are missing: {', '.join(wrong[:3])}{more}")
