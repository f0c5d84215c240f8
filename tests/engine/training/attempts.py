"""A helper process for `conftest`: forks a child for each attempt at a run, and has it killed with SIGKILL.

Torch is imported once, and its compiler, which activation checkpointing loads; the parent computes nothing with them,
so the children may.
"""

import gc
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch._dynamo  # noqa: F401
from torch import Tensor

import engine.training.run as run
from engine.training import checkpoint
from engine.training.reporting.reporter import Silent
from engine.training.spec import RunPaths, RunSpec

P = ParamSpec("P")
R = TypeVar("R")


def kill_at_operation(number: int) -> None:
    """Die right before the ``number``-th operation that changes what is on disk for good."""
    left = number

    def counted(call: Callable[P, R]) -> Callable[P, R]:
        def count(*args: P.args, **kwargs: P.kwargs) -> R:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return count

    os.fsync = counted(os.fsync)
    os.unlink = counted(os.unlink)
    Path.rename = counted(Path.rename)


def tear(number: int) -> None:
    """Die in the middle of the ``number``-th file of tensors of a checkpoint, while the loop goes on beside it."""
    left, save_file = number, checkpoint.save_file

    def half(tensors: dict[str, Tensor], file: Path) -> None:
        nonlocal left
        left -= 1
        save_file(tensors, file)
        if left == 0:
            os.truncate(file, file.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.save_file = half


def child(order: dict) -> None:
    if order["kill_after"]:
        timer = threading.Timer(order["kill_after"], os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
    if order["kill_at"]:
        kill_at_operation(order["kill_at"])
    if order["tear_at"]:
        tear(order["tear_at"])
    folder, snapshot, base, target = (Path(text) if text else None for text in order["places"])
    assert folder
    assert snapshot
    assert target
    run.learn(RunSpec.model_validate_json(order["plan"]), RunPaths(folder, snapshot, base, target), Silent())


gc.freeze()  # a collection in a child would copy all of its pages
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            child(json.loads(line))
            status = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
