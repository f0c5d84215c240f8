"""Tokenised documents on disk: written once a run as they come, mapped into memory from then on.

A folder with ``ids.i32``, ``supervised.u8`` and ``starts.i64`` (one more than there are documents), each a bare array
in the machine's own byte order, published by rename. However large a corpus is, a document at a time is in memory.
"""

import contextlib
import logging
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine import artifacts
from engine.artifacts import ArtifactError
from engine.data.encoded import Encoded

Number = TypeVar("Number", np.int32, np.int64, np.bool_)
_BUFFER = 1 << 20
_logger = logging.getLogger(__name__)
_IDS, _SUPERVISED, _STARTS = "ids.i32", "supervised.u8", "starts.i64"


@dataclass(frozen=True)
class Shard:
    """Documents one after another; document ``n`` is ``starts[n]`` to ``starts[n + 1]``."""

    ids: NDArray[np.int32]
    supervised: NDArray[np.bool_]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1


def write(folder: Path, documents: Iterable[Encoded]) -> Shard:
    """Publish a shard at ``folder``; a whole one that is there already is opened as it is."""
    (shard,) = write_parts((folder,), ((document, 0) for document in documents))
    return shard


def write_parts(folders: Sequence[Path], documents: Iterable[tuple[Encoded, int]]) -> list[Shard]:
    """Publish several shards in one pass: with each document comes the number of the folder that it belongs to.

    Whole ones that are there already are opened as they are, if none is missing or damaged.
    """
    try:
        return [read(folder) for folder in folders]
    except ArtifactError as error:
        if any(folder.exists() for folder in folders):
            _logger.warning("tokenised data is damaged and is made again: %s", error)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    with contextlib.ExitStack() as opened:
        parts = [opened.enter_context(_writing(folder)) for folder in folders]
        for document, part in documents:
            parts[part](document)
    return [read(folder) for folder in folders]


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[Callable[[Encoded], None]]:
    """A function that adds a document to a shard, which is published in the end."""
    with (
        artifacts.publishing(folder) as draft,
        (draft / _IDS).open("wb", _BUFFER) as ids,
        (draft / _SUPERVISED).open("wb", _BUFFER) as supervised,
        (draft / _STARTS).open("wb", _BUFFER) as starts,
    ):
        end = 0
        starts.write(array("q", [end]))

        def add(document: Encoded) -> None:
            nonlocal end
            ids.write(document.ids.data)
            supervised.write(document.supervised.data)
            end += len(document.ids)
            starts.write(array("q", [end]))

        yield add


def read(folder: Path) -> Shard:
    """Open a published shard without reading it.

    Raises:
        ArtifactError: it is missing, or its files are not as long as each other say.
    """
    try:
        shard = Shard(
            ids=_mapped(folder / _IDS, np.int32),
            supervised=_mapped(folder / _SUPERVISED, np.bool_),
            starts=_mapped(folder / _STARTS, np.int64),
        )
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{folder}: {error}") from error
    ends = int(shard.starts[-1]) if len(shard.starts) else -1
    if not len(shard.ids) == len(shard.supervised) == ends:
        raise ArtifactError(f"{folder}: {len(shard.ids)} ids, {len(shard.supervised)} flags, documents end at {ends}")
    return shard


def _mapped(file: Path, dtype: type[Number]) -> NDArray[Number]:
    """An empty file cannot be mapped, and need not be."""
    return np.memmap(file, dtype, mode="r") if file.stat().st_size else np.empty(0, dtype)
