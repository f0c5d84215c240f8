"""The memory of this process: how it asks the system for it, and the most that it had."""

import contextlib
import ctypes
import re
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_OLD_GLIBC_TAKES = 32 << 20


def return_freed_memory() -> None:
    """Have glibc give all freed pages back to the kernel, also those that lie between others still in use.

    By itself it returns only the top of a heap, and a few blocks that live on keep hundreds of megabytes. Other C
    libraries are left as they are.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next allocation instead of giving it back to the kernel.

    A training step frees and takes the same tens of megabytes again and again; without this each page is faulted in
    anew, which costs up to half of the time of a step with a large vocabulary. Other C libraries are left as they are.
    """
    libc = ctypes.CDLL(None)
    with contextlib.suppress(AttributeError):
        _ = libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30) or libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_OLD_GLIBC_TAKES)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def peak_bytes() -> int:
    """The most that was resident so far, of this program alone.

    `resource` reports that of the process that started this one, if that was larger.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) << 10
