"""Asking the supervisor over its socket: an answer, no answer, and more questions than there are threads."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.paths import Paths, at_home, socket_address
from daemon.workers.server.errors import ApiError
from daemon.workers.server.supervisor_port import ControlSocket
from tests.control.stand_in import STATUS, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[tuple[Paths, socket.socket]]:
    """A supervisor that lets callers in and says nothing."""
    paths = at_home(tmp_path)
    paths.run.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(socket_address(paths.control_socket))
        listening.listen()
        yield paths, listening


async def refusal(supervisor: ControlSocket) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await supervisor.status()
    assert refused.value.status == 503
    return refused.value


async def test_the_status_is_asked_for_beside_the_loop(tmp_path: Path) -> None:
    with serving(tmp_path, ("control.sock",)):
        assert await ControlSocket(at_home(tmp_path)).status() == STATUS


async def test_a_supervisor_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    error = await refusal(ControlSocket(at_home(tmp_path)))
    assert error.code == "supervisor_away"
    assert str(tmp_path) not in error.message
    assert error.headers["retry-after"]


async def test_more_questions_than_threads_are_refused_at_once(silent: tuple[Paths, socket.socket]) -> None:
    paths, listening = silent
    supervisor = ControlSocket(paths, at_once=1)
    first = asyncio.create_task(supervisor.status())
    connection, _ = await asyncio.to_thread(listening.accept)
    assert (await refusal(supervisor)).code == "supervisor_busy"
    connection.close()
    with pytest.raises(ApiError, match="busy or restarting"):
        await first


async def test_a_question_given_up_keeps_its_thread_until_the_socket_lets_go(
    silent: tuple[Paths, socket.socket],
) -> None:
    paths, listening = silent
    supervisor = ControlSocket(paths, at_once=1, seconds=0.01)
    assert (await refusal(supervisor)).code == "supervisor_away"
    assert (await refusal(supervisor)).code == "supervisor_busy", "the thread still waits"
    connection, _ = listening.accept()
    connection.close()
    while (await refusal(supervisor)).code == "supervisor_busy":
        await asyncio.sleep(0.01)
