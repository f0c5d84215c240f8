"""Whether this process may raise again the scheduler's weight of what it lowered: of sessions or of threads.

Linux groups the processes of a session (``sched_autogroup_enabled``), unless a cgroup with a share of its own does.
Anybody may make a session of their own heavier again, up to the weight of any other. A thread that was made lighter
stays so, unless root or the limit of niceness (RLIMIT_NICE, ``LimitNICE=`` in a unit) allows more.
"""

import resource
from pathlib import Path

_CAP_SYS_NICE = 23
_LIMIT_OF_NICENESS_0 = 20


def can_be_raised() -> bool:
    """Whether one of the two ways is open."""
    return _sessions_are_compared() or _may_lower_niceness()


def _sessions_are_compared() -> bool:
    try:
        return Path("/proc/sys/kernel/sched_autogroup_enabled").read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False


def _may_lower_niceness() -> bool:
    soft, _ = resource.getrlimit(resource.RLIMIT_NICE)
    status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
    effective = next((int(line.split()[1], 16) for line in status if line.startswith("CapEff:")), 0)
    return soft >= _LIMIT_OF_NICENESS_0 or bool(effective >> _CAP_SYS_NICE & 1)
