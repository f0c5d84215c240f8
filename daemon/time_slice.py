"""Time slices, by which Linux 6.12 and later decides whether a thread that wakes interrupts the one that computes.

It does where its slice is the shorter one. Else it waits until the other's slice is over, which is noticed only at the
next tick of the scheduler: up to 4 ms. A thread's share of the processor stays what its niceness makes it.
"""

import contextlib
import ctypes
import os
import platform
import struct

SHORTEST, LONGEST = 100e-6, 100e-3
"""Seconds that the kernel takes; of threads that say nothing, slices are a few milliseconds."""
_SET_ATTRIBUTES = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
"""sched_setattr(2), which neither Python nor every libc has."""
_OTHER = 0


def take(seconds: float, thread: int = 0) -> None:
    """For a thread, of which 0 is the caller, and those that it will start. Where it cannot be had, nothing changes.

    Raises:
        ProcessLookupError: there is no such thread.
    """
    number = _SET_ATTRIBUTES.get(platform.machine())
    if number is None:
        return
    niceness, nanoseconds = os.getpriority(os.PRIO_PROCESS, thread), round(seconds * 1e9)
    # struct sched_attr: size, policy, flags, nice, priority, runtime (the slice), deadline, period
    attributes = struct.pack("=IIQiIQQQ", 48, _OTHER, 0, niceness, 0, nanoseconds, 0, 0)
    with contextlib.suppress(AttributeError):  # no such libc
        ctypes.CDLL(None).syscall(number, thread, attributes, 0)  # refused by older kernels, or by a sandbox: no matter
