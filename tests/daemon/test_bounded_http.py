"""uvicorn's insides: `daemon.bounded_http` and both HTTP servers use names that uvicorn may change at any time."""

import asyncio

import pytest
import uvicorn
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from daemon.bounded_http import Server, ServerState

PROTOCOL = (
    "app_state connections cycle headers loop parser scope transport url connection_made connection_lost data_received "
    "on_message_begin on_header on_body on_headers_complete on_message_complete send_400_response shutdown"
).split()
CYCLE = ("disconnected", "message_event", "response_complete")


@pytest.mark.anyio
async def test_uvicorn_has_the_insides_that_we_use() -> None:
    async def app(_scope: object, _receive: object, _send: object) -> None: ...

    config = Config(app, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    protocol = HttpToolsProtocol(config, state, {}, asyncio.get_running_loop())
    protocol.on_message_begin()
    used = {
        protocol: PROTOCOL,
        Server(config): ["capture_signals", "main_loop", "shutdown", "server_state", "serve"],
    }
    missing = [
        f"{type(thing).__name__}.{name}" for thing, names in used.items() for name in names if not hasattr(thing, name)
    ]
    missing += [f"ServerState.{name}" for name in ("connections", "tasks") if not hasattr(state, name)]
    if "servers" not in Server.startup.__code__.co_names:
        missing.append("Server.servers")
    known = RequestResponseCycle.__init__.__code__.co_names
    missing += [f"RequestResponseCycle.{name}" for name in CYCLE if name not in known]
    assert not missing, (
        f"uvicorn {uvicorn.__version__} lacks {', '.join(missing)}: keep the version in pyproject.toml, or adapt "
        "daemon/bounded_http.py, daemon/workers/server/http_server.py and the supervisor's http_server.py"
    )
