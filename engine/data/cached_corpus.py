"""When a corpus that was fetched was used last, by a stamp beside it: many disks do not record when a file is read."""

import contextlib
from pathlib import Path

_SUFFIX = ".used"


def touch(corpus: Path) -> None:
    """Note that a corpus is used now; nothing happens where that cannot be written."""
    with contextlib.suppress(OSError):
        _stamp(corpus).touch()


def last_used(corpus: Path) -> float:
    """In seconds since 1970: when it was used last, else when it arrived; 0 if it is gone."""
    for file in (_stamp(corpus), corpus):
        with contextlib.suppress(OSError):
            return file.stat().st_mtime
    return 0.0


def _stamp(corpus: Path) -> Path:
    return corpus.with_name(f".{corpus.name}{_SUFFIX}")
