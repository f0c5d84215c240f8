"""One worker process: started so that nothing of it can outlive the supervisor, and watched until it ends."""

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import daemon
from daemon import assignment, time_slice
from daemon.assignment import Assignment
from daemon.settings.environment.variables import SECRETS
from daemon.supervisor.fair_share import usage, weights
from daemon.supervisor.fair_share.ladder import LADDER, Weight
from daemon.supervisor.fair_share.usage import Usage
from daemon.supervisor.processes.output import Output, OutputLog
from daemon.supervisor.processes.roles import Role

_KEPT_FROM_WORKERS = (
    "NOTIFY_SOCKET",  # only the supervisor speaks to systemd
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
)


@dataclass(frozen=True)
class Exit:
    """How a process ended: with a status, or by a signal."""

    status: int | None = None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is None:
            return f"exited with status {self.status}"
        try:
            return f"was killed by {signal.Signals(self.signal).name}"
        except ValueError:
            return f"was killed by signal {self.signal}"

    @property
    def cause(self) -> str:
        """The same in brief: ``exit 1``, ``signal 9``."""
        return f"exit {self.status}" if self.signal is None else f"signal {self.signal}"


class WorkerProcess:
    """A child in a session of its own. ``ended`` is called once, in the loop, after all of its group is dead.

    Two things tie it to the supervisor. The kernel kills its whole process group, children of the worker included, when
    the supervisor's end of the lifeline closes, however the supervisor ends. And it leaves when its channel closes.

    Args:
        role: which worker.
        given: what it is told.
        log: where its output goes.
        ended: see above.
        level: of a worker that gives way, on the ladder of `fair_share`.

    Raises:
        OSError: the process could not be started.
    """

    def __init__(
        self, role: Role, given: Assignment, log: OutputLog, ended: Callable[[Exit], None], level: int = 0
    ) -> None:
        lifeline, self._lifeline = os.pipe()
        try:
            self._child = subprocess.Popen(
                role.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=_environment(os.environ, role, given.model_copy(update={"lifeline": lifeline})),
                start_new_session=True,
                pass_fds=(lifeline, *given.api_descriptors),
            )
            self.pid = self._child.pid
            self._pidfd = self._tie(lifeline)
        except OSError:
            os.close(self._lifeline)
            raise
        finally:
            os.close(lifeline)
        self.started_at = time.monotonic()
        _set_priorities(self.pid, role, level)
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pidfd, self.reap)
        self._outputs = [
            Output(pipe, stream, log)
            for pipe, stream in ((self._child.stdout, "stdout"), (self._child.stderr, "stderr"))
            if pipe is not None
        ]

    def _tie(self, lifeline: int) -> int:
        """Tie the new child to this process; its pidfd."""
        try:
            _kill_group_when_closed(lifeline, self.pid)
            return os.pidfd_open(self.pid)
        except OSError:
            self._child.kill()
            self._child.wait()
            raise

    def usage(self) -> Usage:
        """What it has used of processors and disk so far."""
        return usage.of_process(self.pid)

    def signal(self, number: signal.Signals) -> None:
        """Signal the worker itself."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """SIGKILL the worker and every process of its group."""
        # The group's number cannot have been given to others: the worker is not reaped yet.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> None:
        """Take the exit status if there is one; kill what is left of the group."""
        result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if result is None:
            return
        self.kill()
        os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        os.close(self._lifeline)
        for output in self._outputs:
            output.close()
        exited = result.si_code == os.CLD_EXITED
        self._child.returncode = result.si_status if exited else -result.si_status
        self._ended(Exit(status=result.si_status) if exited else Exit(signal=result.si_status))


def _environment(inherited: Mapping[str, str], role: Role, given: Assignment) -> dict[str, str]:
    kept = {name: value for name, value in inherited.items() if name not in _KEPT_FROM_WORKERS and name not in SECRETS}
    root = str(Path(daemon.__file__).resolve().parent.parent)
    if root not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        # Run from a source tree: workers take the same code as their supervisor.
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))
    return {
        **kept,
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",  # a crash during the first imports leaves its trace too
        **role.environment,
        assignment.VARIABLE: given.model_dump_json(),
    }


def _kill_group_when_closed(lifeline: int, group: int) -> None:
    """Have the kernel SIGKILL a process group once nobody holds the writing end of the pipe ``lifeline`` any more.

    Input on a descriptor can be announced by a signal of one's choice to a group of one's choice (fcntl(2), F_SETOWN,
    F_SETSIG, O_ASYNC), and the end of a pipe counts as input. The setting belongs to the open pipe, which the child
    inherits, so it holds after this process has closed its own descriptor, and after it was killed.

    PR_SET_PDEATHSIG is no help: it reaches the worker alone, and by killing it before the pipe closes (which the other
    threads of this process delay) it would take the setting away, and save the worker's children.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -group)
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _set_priorities(pid: int, role: Role, level: int) -> None:
    """Weight, slice and order of dying for a process that has no threads yet, so that all it starts inherit them.

    Done from outside: code between fork and exec could deadlock. Each may be refused, and then the worker runs without:
    the kernel lets nobody but CAP_SYS_RESOURCE lower ``oom_score_adj``, and the process may be gone already.
    """
    weights.apply(LADDER[level] if role.gives_way else Weight(role.nice, role.nice), pid)
    if role.gives_way:
        with contextlib.suppress(OSError):
            time_slice.take(time_slice.LONGEST, pid)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(role.oom_score_adj))
