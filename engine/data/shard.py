"""Tokenised documents on disk: written once a run, mapped into memory from then on.

A folder with ``ids.npy`` (int32), ``supervised.npy`` (bool) and ``starts.npy`` (int64, one more than there are
documents), published by rename.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import artifacts
from engine.tokenizers.chat import Encoded


@dataclass(frozen=True)
class Shard:
    """Documents one after another; document ``n`` is ``starts[n]`` to ``starts[n + 1]``."""

    ids: NDArray[np.int32]
    supervised: NDArray[np.bool_]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1


def write(folder: Path, documents: Iterable[Encoded]) -> Shard:
    """Publish a shard at ``folder``; one that is there already is opened as it is."""
    if not folder.exists():
        ids, supervised, lengths = [], [], [0]
        for document in documents:
            ids.append(np.array(document.ids, dtype=np.int32))
            supervised.append(np.array(document.supervised, dtype=np.bool_))
            lengths.append(len(document.ids))
        with artifacts.publishing(folder) as draft:
            np.save(draft / "ids.npy", np.concatenate([np.empty(0, np.int32), *ids]))
            np.save(draft / "supervised.npy", np.concatenate([np.empty(0, np.bool_), *supervised]))
            np.save(draft / "starts.npy", np.cumsum(np.array(lengths, dtype=np.int64)))
    return read(folder)


def read(folder: Path) -> Shard:
    """Open a published shard without reading it."""
    return Shard(
        ids=np.load(folder / "ids.npy", mmap_mode="r"),
        supervised=np.load(folder / "supervised.npy", mmap_mode="r"),
        starts=np.load(folder / "starts.npy"),
    )
