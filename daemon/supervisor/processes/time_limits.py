"""How long a worker may take: what of the time that has passed counts against it, as pure functions.

| in the time that passed it ...            | counts                 |
|-------------------------------------------|------------------------|
| waited for a processor that others used   | nothing                |
| read from a disk                          | nothing, at 4 MiB/s    |
| computed                                  | its processor time     |
| did none of these                         | the clock              |

So a worker that hangs is found as soon as the limit is over, and one that imports slowly on a busy machine is left
alone. Beyond ``MOST`` limits of the clock it is stopped whatever it did.
"""

from daemon.supervisor.fair_share.usage import Span

MOST = 20.0
"""A worker that gets a twentieth of a processor is as good as none."""
_SLOW_DISK = 4 << 20
"""Bytes a second of a disk that others keep busy."""


def counted(span: Span) -> float:
    """The seconds that count, at least those of processor time and at most those of the clock."""
    excused = span.waited + span.read / _SLOW_DISK
    return max(min(span.elapsed, span.computed), span.elapsed - excused, 0.0)


def is_over(span: Span, limit: float) -> bool:
    """Whether a worker hangs that has not done within ``limit`` seconds what it must."""
    return counted(span) >= limit or span.elapsed >= MOST * limit


def left(span: Span, limit: float) -> float:
    """Seconds of the clock after which `is_over` may become true, at the earliest."""
    return min(limit - counted(span), MOST * limit - span.elapsed)


def describe(span: Span, load: float, cores: int) -> str:
    """What it did instead, for the log: ``in 180 s it used 3.1 s of processor and waited 0.2 s for one``.

    Args:
        span: the time that passed.
        load: processes that compute or wait for a processor, on average.
        cores: processors.
    """
    text = f"in {span.elapsed:.0f} s it used {span.computed:.1f} s of processor and waited {span.waited:.1f} s for one"
    return f"{text}; the machine is busy: load {load:.0f} on {cores} processors" if load > 2 * cores else text
