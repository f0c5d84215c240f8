"""A worker that behaves as its first argument says. Real in everything else: process, channel, heartbeat, log."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from daemon.messages import Counts, Evaluate, Failure, Reload, Scan, Scanned, Train, Trained, TrainProgress
from daemon.workers import runtime
from daemon.workers.runtime import Context


def serve(context: Context) -> None:
    """Answer commands until asked to stop, as the permanent workers do."""
    channel = context.channel
    while not channel.stopping.is_set():
        command = channel.commands.get()
        if isinstance(command, Scan):
            channel.send(Scanned(to=command.id, added=1, duplicates=0, quarantined=0))
        elif isinstance(command, Reload):
            channel.send(Counts(new=context.reread_settings().data.min_conversations))
        elif isinstance(command, Train):
            for step in range(3):
                channel.send(
                    TrainProgress(
                        cycle=command.cycle,
                        step=step,
                        steps=3,
                        loss=1.0,
                        learning_rate=0.1,
                        tokens_per_second=1.0,
                        eta_seconds=0.0,
                    )
                )
            channel.send(Trained(to=command.id, version=command.version))
            return
        elif isinstance(command, Evaluate):
            channel.send(Failure(to=command.id, reason="no such version", retry=False))
            return


def idle(context: Context, *_: str) -> None:
    context.channel.ready()
    serve(context)


def crash(context: Context, after: str = "0") -> None:
    context.channel.ready()
    time.sleep(float(after))
    sys.exit(3)


def crash_in_training(context: Context, *_: str) -> None:
    context.channel.ready()
    context.channel.commands.get()
    os.kill(os.getpid(), signal.SIGSEGV)


def never_ready(context: Context, *_: str) -> None:
    context.channel.stopping.wait()


def late(context: Context, *_: str) -> None:
    """Ready as soon as the file ``go`` is there."""
    while not (context.paths.state / "go").exists():
        time.sleep(0.02)
    idle(context)


def deaf(context: Context, *_: str) -> None:
    """Says it is ready, and never does what it is asked to."""
    context.channel.ready()
    while True:
        time.sleep(1)


def stuck(context: Context, *_: str) -> None:
    context.channel.advance("a step")
    context.channel.ready()
    deaf(context)


def finishing(context: Context, *_: str) -> None:
    """Takes half a second to stop, and leaves a note."""
    context.channel.ready()
    context.channel.stopping.wait()
    time.sleep(0.5)
    (context.paths.state / f"finished-{context.name}").write_text(str(context.channel.grace_seconds))


def with_children(context: Context, *_: str) -> None:
    """One child in the same group, one in a session of its own, that keeps this worker's output open."""
    near = subprocess.Popen(["sleep", "1000"])
    far = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    (context.paths.state / f"children-{context.name}").write_text(f"{near.pid} {far.pid}")
    idle(context)


def hears_of_health(context: Context, *_: str) -> None:
    """Leaves a note of how the service is."""
    note = context.paths.state / f"health-{context.name}"
    context.channel.on_health(lambda health: note.write_text(f"{health.state} {'; '.join(health.reasons)}") and None)
    idle(context)


def flood(context: Context, *_: str) -> None:
    context.channel.ready()
    line = "y" * 60 + "\n"
    while not context.channel.stopping.is_set():
        sys.stdout.write(line * 100)
        sys.stderr.write("\n" * 50)


def prints(context: Context, *_: str) -> None:
    print("a stray \u2028 print \udc80", file=os.fdopen(1, "w", errors="surrogateescape", closefd=False), flush=True)
    os.write(2, b"no end of line, \xff no UTF-8")
    idle(context)


def _line(file: str, containing: str) -> str:
    """The last word of a line; nothing where the kernel does not tell."""
    try:
        found = [line.split()[-1] for line in Path(file).read_text().splitlines() if containing in line]
    except OSError:
        found = []
    return found[0] if found else ""


def describes_itself(context: Context, *_: str) -> None:
    facts = [
        *(f"{name}={value}" for name, value in os.environ.items()),
        f"cwd={Path.cwd()}",
        f"group={os.getpgrp()}",
        f"session={os.getsid(0)}",
        f"pid={os.getpid()}",
        f"nice={os.nice(0)}",
        f"autogroup={_line('/proc/self/autogroup', 'nice')}",
        f"slice={_line('/proc/self/sched', 'se.slice')}",
        f"oom={Path('/proc/self/oom_score_adj').read_text().strip()}",
        *(f"file={target}" for target in map(os.path.realpath, Path("/proc/self/fd").iterdir())),
    ]
    (context.paths.state / f"facts-{context.name}").write_text("\n".join(facts))
    idle(context)


if __name__ == "__main__":
    behaviour = sys.argv[1]
    if behaviour == "crash_early":
        raise RuntimeError("broken before it began")
    globals()[behaviour](runtime.start(), *sys.argv[2:])
