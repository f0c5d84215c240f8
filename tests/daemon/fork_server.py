"""A helper process for `forked`: forks a worker for each order, so that torch is imported once.

It computes nothing and has one thread, so that its children may do anything.

An order is one line of JSON, with two kinds of descriptors: where the end of the worker is to be told, and what the
worker inherits. The answer is the worker's pid; when it ends, its exit status follows, 4 bytes each.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import traceback
from pathlib import Path

IMPORTED = (
    "daemon.workers.evaluator.evaluations",
    "daemon.workers.intake.worker",
    "daemon.workers.server.serving",
    "daemon.workers.trainer.training",
    "engine.training.run",
)
MAX_ORDER = 1 << 20


def main() -> None:
    orders = socket.socket(fileno=int(sys.argv[1]))
    import_everything()
    with selectors.DefaultSelector() as waiting:
        waiting.register(orders, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is orders:
                    order, descriptors, _, _ = socket.recv_fds(orders, MAX_ORDER, 8)
                    if not order:
                        return
                    told, *inherited = descriptors
                    pid = forked(json.loads(order), inherited)
                    tell(told, pid)
                    waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, told))
                else:
                    pid, told = key.data
                    waiting.unregister(key.fileobj)
                    os.close(key.fd)
                    tell(told, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                    os.close(told)


def import_everything() -> None:
    """And have it never collected: a collection in a worker would copy all of its pages."""
    gc.disable()
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    gc.enable()
    threads = list(Path("/proc/self/task").iterdir())
    assert len(threads) == 1, f"an import started a thread: {threads}"


def forked(order: dict, descriptors: list[int]) -> int:
    """The pid of a new worker, which alone holds the descriptors."""
    pid = os.fork()
    if pid == 0:
        become_worker(order, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    return pid


def tell(told: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the test is over
        os.write(told, number.to_bytes(4, signed=True))


def become_worker(order: dict, descriptors: list[int]) -> None:
    """Do as ``python -m MODULE`` would in a session of its own. Does not return."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["environment"])
        given = json.loads(os.environ[order["assignment"]])
        given |= {"supervisor": os.getppid(), "api_descriptors": descriptors}
        os.environ[order["assignment"]] = json.dumps(given)
        sys.argv[1:] = []
        sys.path[:1] = [order["cwd"], *os.environ["PYTHONPATH"].split(os.pathsep)]
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
