"""Tells the kernel how much a run weighs: by its session, where Linux compares sessions, and by its threads elsewhere.

Which of the two may be raised again says `control.scheduler_weight`.
"""

import contextlib
import os
from pathlib import Path

from daemon.supervisor.fair_share import usage
from daemon.supervisor.fair_share.ladder import Weight


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
