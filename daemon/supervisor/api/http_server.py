"""HTTP/1.1 on a Unix socket: uvicorn's protocol without uvicorn's server, whose clock ticks ten times a second.

Each request carries the peer's credentials in ``request.state.peer``. Sizes, times and the number of connections are
bounded, so that no client can starve the others or the supervisor.
"""

import asyncio
import json
import socket

from starlette.types import ASGIApp

from daemon.bounded_http import BoundedProtocol, ServerState, configuration
from daemon.supervisor.api.permissions import peer_of

MAX_CONNECTIONS = 256
KEEP_ALIVE_SECONDS = 5
_STOP_SECONDS = 0.2


class ControlProtocol(BoundedProtocol):
    """One connection to the control socket."""

    head_seconds = 10.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read the peer's credentials, and refuse it where there are too many connections."""
        stream: socket.socket | None = transport.get_extra_info("socket")
        if stream is None:
            transport.close()
            return
        super().connection_made(transport)
        try:
            self.app_state = {"peer": peer_of(stream)}
        except OSError:  # it is gone already
            self.transport.abort()
            return
        if len(self.connections) > MAX_CONNECTIONS:
            self.refuse(503, "busy", f"there are {MAX_CONNECTIONS} connections already; try again")

    def error_body(self, status: int, code: str, message: str) -> bytes:
        """Write an error as the control API does."""
        return json.dumps({"error": {"code": code, "message": message, "request_id": None}}).encode()


class HttpServer:
    """Serves an application on a socket that is bound and listening."""

    def __init__(self, app: ASGIApp) -> None:
        self._config = configuration(app, ControlProtocol, KEEP_ALIVE_SECONDS)
        self._config.load()
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to accept connections."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._protocol, sock=listener)

    async def stop(self) -> None:
        """Accept no more, let answers under way finish for a moment, then close every connection."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            _, late = await asyncio.wait(self._state.tasks, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
        for connection in list(self._state.connections):
            if connection.transport is not None:
                connection.transport.abort()

    def _protocol(self) -> asyncio.Protocol:
        return ControlProtocol(self._config, self._state, {}, asyncio.get_running_loop())
