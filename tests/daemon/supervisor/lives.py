"""A life of the supervisor's side in a fork of the test, killed by SIGKILL at any moment of its work."""

import asyncio
import contextlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine

from daemon.supervisor.store.database import Database


def live(life: Callable[[Callable[[str], None]], Coroutine[None, None, None]], kill_at: int | None) -> list[str] | None:
    """Run a life in a fork, killed by SIGKILL at the moment of that number.

    Returns:
        The moments it went through, or null where it was killed.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _live_and_die(life, kill_at, writer)
    os.close(writer)
    with os.fdopen(reader) as lines:
        told = lines.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return None
    assert os.waitstatus_to_exitcode(status) == 0, told
    return told.splitlines()


def _live_and_die(life: Callable[[Callable[[str], None]], Coroutine[None, None, None]], kill_at: int | None, out: int):
    moments: list[str] = []

    def moment(name: str) -> None:
        if len(moments) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        moments.append(name)

    plain = Database.transaction

    @contextlib.contextmanager
    def transaction(database: Database):
        moment("before transaction")
        with plain(database):
            yield
            moment("before commit")
        moment("after commit")

    sys.stdout = sys.stderr = io.StringIO()  # what is logged may not fail when the disk does
    try:
        Database.transaction = transaction
        asyncio.run(asyncio.wait_for(life(moment), 10))
        os.write(out, "\n".join(moments).encode())
        os._exit(0)
    except BaseException:
        os.write(out, f"{traceback.format_exc()}\nmoments: {moments}\n{sys.stdout.getvalue()}".encode())
        os._exit(1)
