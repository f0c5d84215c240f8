"""Fixtures that start scripted workers, with or without a supervisor process around them."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from control.paths import socket_address
from tests.daemon.supervisor.scripted import Crew, StartCrew, StartThord, Thord, alive, wait_until


@pytest.fixture
def crew(tmp_path: Path) -> StartCrew:
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
