"""A real server process on a home with small random versions."""

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from control.paths import at_home, socket_address
from daemon.settings.sections import Tables
from engine import artifacts
from engine.tokenizers import bpe
from engine.tokenizers.base import Tokenizer
from tests.daemon.workers.server.harness import TEXT, Server, StartServer, Worker, make_version, server_settings


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return bpe.train([TEXT * 20], vocabulary=400, sample_bytes=1 << 20)


@pytest.fixture
def start_server(spawn_worker: Callable[..., Worker], tmp_path: Path, tokenizer: Tokenizer) -> Iterator[StartServer]:
    """``start_server(versions, settings)``: versions 1 to ``versions`` are published, the last one is current."""
    with listening(tmp_path) as sockets:
        yield starter(spawn_worker, tmp_path, tokenizer, sockets)


@pytest.fixture
def server(start_server: StartServer) -> Server:
    """One with version 1, for this test alone."""
    return start_server()


@pytest.fixture(scope="module")
def steady(
    spawn_worker_for_module: Callable[..., Worker], tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer
) -> Iterator[Server]:
    """One with version 1, for every test of a file that only asks it."""
    home = tmp_path_factory.mktemp("steady")
    with listening(home) as sockets:
        yield starter(spawn_worker_for_module, home, tokenizer, sockets)()


@contextlib.contextmanager
def listening(home: Path) -> Iterator[Sequence[socket.socket]]:
    """What the supervisor binds: TCP and Unix."""
    paths = at_home(home)
    paths.run.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(socket_address(paths.server_socket))
        unix.listen()
        yield tcp, unix


def starter(
    spawn: Callable[..., Worker], home: Path, tokenizer: Tokenizer, sockets: Sequence[socket.socket]
) -> StartServer:
    def start(versions: int = 1, settings: Tables | None = None, *, ready: bool = True) -> Server:
        paths = at_home(home)
        for number in range(1, versions + 1):
            if not paths.version(number).exists():
                make_version(paths.version(number), number, tokenizer)
        if versions and not paths.current.is_symlink():
            artifacts.point(paths.current, paths.version(versions))
        descriptors = [each.fileno() for each in sockets]
        worker = spawn("server", home, settings or server_settings(), api_descriptors=descriptors, ready=ready)
        return Server(worker, f"http://127.0.0.1:{sockets[0].getsockname()[1]}", paths, tokenizer)

    return start
