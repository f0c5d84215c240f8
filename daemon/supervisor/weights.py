"""Tells the kernel how much a run weighs: by its session, where Linux compares sessions, and by its threads elsewhere.

Linux groups the processes of a session (``sched_autogroup_enabled``), unless a cgroup with a share of its own does.
Anybody may make a session of their own heavier again, up to the weight of any other. A thread that was made lighter
stays so, unless root or the limit of niceness (RLIMIT_NICE, ``LimitNICE=`` in a unit) allows more.
"""

import contextlib
import os
import resource
from pathlib import Path

from daemon.supervisor import usage
from daemon.supervisor.fair_share import LADDER, Weight

_CAP_SYS_NICE = 23


def apply(weight: Weight, pid: int) -> bool:
    """Have a process, its threads and its children weigh so much. What the kernel refuses stays as it is.

    False where it is to be tried again: who is not root may change sessions ten times a second, all together.
    """
    done = True
    for process in (pid, *usage.descendants(pid)):
        try:
            Path(f"/proc/{process}/autogroup").write_text(str(weight.session), encoding="ascii")
        except BlockingIOError:
            done = False
        except OSError:
            pass
        for thread in usage.threads(process):
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, thread, weight.thread)
    return done


def can_be_raised() -> bool:
    """Whether what was made light can be made heavier again by this process."""
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
    return soft >= 20 - LADDER[-1].thread or bool(effective >> _CAP_SYS_NICE & 1)
