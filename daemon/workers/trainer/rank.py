"""One rank of a run on several processes: a worker whose supervisor is the trainer that had torchrun start it."""

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from daemon import log
from daemon.messages import UNASKED, Failure, Train
from daemon.process_exit import leave
from daemon.workers import runtime
from daemon.workers.runtime import Context
from daemon.workers.trainer import training
from engine import memory

if TYPE_CHECKING:
    from engine.distributed.meeting import Meeting

_logger = log.get(__name__)


def main() -> None:
    """Take part in one run, and end: with status 0 where it came to an end, also by being asked to stop."""
    memory.keep_freed_memory()
    context = runtime.start()
    _be_as_modest_as_the_trainer()
    log.bind(rank=int(os.environ["RANK"]))
    context.channel.advance("loading torch")
    status = _take_part(context)
    leave(status)  # threads of torch that wait for other ranks would hold up an orderly exit


def _take_part(context: Context) -> int:
    """The status to end with. Whatever can be said of a failure is said, for torchrun's agent knows numbers only."""
    with runtime.loading():
        from engine.artifacts import ArtifactError
        from engine.distributed import run
        from engine.distributed.meeting import Meeting
        from engine.training.guard import DivergedError
        from engine.training.reporting.reporter import Stopped
        from engine.training.world import ShortOfMemoryError

    channel, name = context.channel, f"rank {os.environ['RANK']}"
    try:
        meeting = Meeting()
        if meeting.rank == 0:
            return _lead(meeting, context)
        run.follow(meeting)
    except Stopped:
        pass
    except (OSError, RuntimeError, ValueError, ArtifactError, DivergedError, ShortOfMemoryError) as error:
        _logger.warning("a rank ends", reason=str(error))
        reason = str(error) if str(error).startswith(name) else f"{name}: {error}"
        channel.send(Failure(to=UNASKED, reason=reason, retry=True))
        return 1
    return 0


def _lead(meeting: "Meeting", context: Context) -> int:
    """Be the trainer of this run, and have the other ranks follow."""
    from engine.distributed import run

    command = context.channel.commands.get()
    if not isinstance(command, Train):
        return 0  # asked to stop before there was anything to do
    done = training.train(command, context.settings, context.paths, context.channel, partial(run.lead, meeting))
    return 0 if done else 1


def _be_as_modest_as_the_trainer() -> None:
    """Torchrun's agent starts a session for each rank, and with autogrouping niceness counts only within one."""
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(os.getpriority(os.PRIO_PROCESS, 0)))


if __name__ == "__main__":
    main()
