"""The cache of corpora. When one was used last is kept in a stamp of our own: many disks do not record reading."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from control.paths import Paths
from daemon.supervisor.retention import disk
from daemon.supervisor.retention.plan import Thing
from engine.data import cached_corpus


def things(paths: Paths, unfinished: str, order: Literal["lru", "oldest"]) -> Iterator[Thing]:
    """Every corpus in the cache; ``unfinished`` is what jobs and cycles under way ask for, as one text."""
    for name in disk.names(paths.corpora):
        file = paths.corpora / name
        since = cached_corpus.last_used(file) if order == "lru" else _arrived(file)
        needed = "a job or a cycle under way names it" if _is_named(name, unfinished) else ""
        yield Thing("corpus", 0, disk.size(disk.parts(paths, "corpus", 0, name)), since, needed, name)


def _is_named(name: str, unfinished: str) -> bool:
    """Whether a text in JSON has the name, or a path that ends with it, as a string of its own."""
    end = json.dumps(name, ensure_ascii=False)[1:]
    return f'"{end}' in unfinished or f"/{end}" in unfinished


def _arrived(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
