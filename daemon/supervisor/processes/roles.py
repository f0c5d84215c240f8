"""The workers there are: what each runs, whether it stays, and how the kernel should treat it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.messages import WorkerName


@dataclass(frozen=True)
class Role:
    """One kind of worker.

    Attributes:
        permanent: it is kept running; others live for one run and are never restarted by themselves.
        nice: scheduling priority of one that does not give way, 19 the most modest.
        gives_way: it computes for long, and whoever wakes beside it comes first: by its time slice, and by its weight,
            for which see `fair_share`.
        oom_score_adj: who goes first when memory runs out, 1000 the very first.
    """

    name: WorkerName
    argv: tuple[str, ...]
    permanent: bool
    nice: int
    oom_score_adj: int
    gives_way: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def _python(module: str) -> tuple[str, ...]:
    # -P: what lies in the current folder must not take the place of a module.
    return (sys.executable, "-P", "-m", module)


_COMPUTES = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait for each other sleep instead of spinning. Where processes share the cores, spinning costs nearly
everything: small matrix products on two threads beside one busy process ran 27 times a second, passive 3,400 times."""

ROLES: Mapping[WorkerName, Role] = {
    role.name: role
    for role in (
        Role("intake", _python("daemon.workers.intake"), permanent=True, nice=5, oom_score_adj=100),
        Role(
            "server",
            _python("daemon.workers.server"),
            permanent=True,
            nice=0,
            oom_score_adj=-500,
            environment=_COMPUTES,
        ),
        Role("monitor", _python("daemon.workers.monitor"), permanent=True, nice=5, oom_score_adj=200),
        Role(
            "trainer",
            _python("daemon.workers.trainer"),
            permanent=False,
            nice=0,
            oom_score_adj=800,
            gives_way=True,
            environment=_COMPUTES,
        ),
        Role(
            "evaluator",
            _python("daemon.workers.evaluator"),
            permanent=False,
            nice=0,
            oom_score_adj=600,
            gives_way=True,
            environment=_COMPUTES,
        ),
    )
}
