"""What lies on disk, and not only in the system's memory, when a call returns."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file is on disk, or, of a folder, the names in it: a rename is safe only then (fsync(2)).

    Raises:
        OSError: the disk refused.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
