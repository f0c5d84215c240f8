"""What a process has used of processors and disk so far, by what the kernel says in ``/proc``."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_NANOSECOND = 1e-9
_UTIME, _STIME = 11, 12
"""Fields of ``stat`` behind the command's name."""


@dataclass(frozen=True)
class Usage:
    """Sums since a process began.

    Attributes:
        at: when they were read, in monotonic seconds.
        computed: seconds of processor time of all threads, also of those that ended.
        waited: for each thread, by its number, the seconds in which it could have computed and had no processor.
        read: bytes that came from a disk.
    """

    at: float
    computed: float = 0.0
    waited: Mapping[int, float] = field(default_factory=dict)
    read: int = 0


@dataclass(frozen=True)
class Span:
    """What a process used in a stretch of time; all but ``read``, in bytes, are seconds."""

    elapsed: float
    computed: float
    waited: float
    read: int


def of_process(pid: int) -> Usage:
    """The sums of one process now. What the kernel does not tell is zero, as of a process that is gone."""
    return Usage(
        at=time.monotonic(),
        computed=processor_seconds(pid),
        waited=dict(_waiting_seconds(pid)),
        read=_bytes_read(pid),
    )


def between(earlier: Usage, later: Usage) -> Span:
    """What was used from one look to another."""
    waited = (max(0.0, total - earlier.waited.get(thread, 0.0)) for thread, total in later.waited.items())
    return Span(
        elapsed=max(0.0, later.at - earlier.at),
        computed=max(0.0, later.computed - earlier.computed),
        waited=sum(waited),
        read=max(0, later.read - earlier.read),
    )


def processor_seconds(pid: int) -> float:
    """Processor time of all threads of a process so far, in seconds; zero where it is gone."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS_A_SECOND if fields else 0.0


def busy_seconds() -> float:
    """Processor time of all processes of the machine so far, and what its host took from it."""
    with open("/proc/stat", encoding="ascii") as file:  # noqa: PTH123 - read every few seconds, and quicker so
        user, nice, system, _, _, irq, softirq, steal, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + softirq + steal) / _TICKS_A_SECOND


def descendants(pid: int) -> Iterator[int]:
    """The processes that a process started, and those that they started, as far as they live."""
    for thread in threads(pid):
        for child in map(int, _text(f"/proc/{pid}/task/{thread}/children").split()):
            yield child
            yield from descendants(child)


def threads(pid: int) -> list[int]:
    """The numbers of a process's threads; none where it is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208
    except OSError:
        return []


def _waiting_seconds(pid: int) -> Iterator[tuple[int, float]]:
    for thread in threads(pid):
        _, waited, *_ = _text(f"/proc/{pid}/task/{thread}/schedstat").split() or ("0", "0")
        yield thread, int(waited) * _NANOSECOND


def _bytes_read(pid: int) -> int:
    lines = _text(f"/proc/{pid}/io").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("read_bytes:")), 0)


def _text(file: str) -> str:
    """A file of ``/proc``; empty where there is none, or its process ends just now."""
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
