"""Fixtures that start scripted workers, with or without a supervisor process around them."""

import asyncio
import contextlib
import ctypes
import logging
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
import structlog

from control.paths import socket_address
from daemon.supervisor.processes import reaper
from tests.daemon.supervisor.scripted import Crew, StartCrew, StartThord, Thord, alive, wait_until

_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a supervisor does to its own process, in one that is not its own: other children live, and all is undone."""
    libc, was_subreaper, root, chosen = ctypes.CDLL(None), ctypes.c_int(), logging.getLogger(), structlog.get_config()
    libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(was_subreaper), 0, 0, 0)
    find_children, others = reaper._children, reaper._children()
    monkeypatch.setattr(reaper, "_children", lambda: find_children() - others)
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # else `log.configure` closes them
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**chosen)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, was_subreaper.value, 0, 0, 0)


@pytest.fixture
def crew(tmp_path: Path, guest: None) -> StartCrew:
    """``async with crew(intake="idle", heartbeat_timeout_seconds=0.6) as crew``: started, and stopped in the end."""

    @contextlib.asynccontextmanager
    async def started(**given: str | float) -> AsyncIterator[Crew]:
        behaviours = {name: value for name, value in given.items() if isinstance(value, str)}
        supervision = {name: value for name, value in given.items() if not isinstance(value, str)}
        it = Crew(tmp_path / "home", behaviours, supervision)
        listener = socket.socket(socket.AF_UNIX)
        it.paths.channel_socket.unlink(missing_ok=True)
        listener.bind(socket_address(it.paths.channel_socket))
        await it.workers.start(listener)
        try:
            yield it
        finally:
            await it.workers.stop(0.0)
            asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)

    return started


@pytest.fixture
def thord(tmp_path: Path) -> Iterator[StartThord]:
    """``thord(server="idle")`` starts one on a home of the test's own; ``ready=True`` waits until it is up."""
    started: list[Thord] = []

    def start(
        *arguments: str, ready: bool = True, environment: dict[str, str] | None = None, **behaviours: str
    ) -> Thord:
        it = Thord(tmp_path / "home", *arguments, behaviours=behaviours, **(environment or {}))
        started.append(it)
        if ready:
            it.until_logged("up")
        return it

    yield start
    for it in started:
        if it.process.poll() is None:
            family = it.family()
            it.process.kill()
            it.process.wait()
            wait_until(lambda family=family: not any(map(alive, family)))
        if it.process.stderr:
            it.process.stderr.close()
        # A child in a session of its own outlives a supervisor that is killed: only systemd's cgroup knows of it then.
        for note in it.paths.state.glob("children-*"):
            for pid in map(int, note.read_text().split()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()
