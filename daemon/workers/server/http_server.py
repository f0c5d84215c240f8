"""uvicorn on inherited sockets: it takes no signals, does not tick while idle, and stops when it is told to."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator

from starlette.types import ASGIApp

from daemon.bounded_http import BoundedProtocol, Server, configuration

KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep idle connections, so that none is closed while a request is on its way."""


class HttpProtocol(BoundedProtocol):
    """One connection, which tells routes where a request came from."""

    head_seconds = 30.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note whether a new connection came by the Unix socket."""
        super().connection_made(transport)
        self._local = transport.get_extra_info("socket").family == socket.AF_UNIX

    def on_message_begin(self) -> None:
        """Begin a request, and tell its routes where it came from."""
        super().on_message_begin()
        self.scope["state"] |= {"connection": id(self), "local": self._local}  # no other open one has this number

    def error_body(self, status: int, code: str, message: str) -> bytes:
        """An error in the shape of OpenAI's API, as JSON."""
        body = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        return json.dumps({"error": body}).encode()


class ApiServer(Server):
    """Serves until `stop`. Whoever runs it keeps its signals."""

    def __init__(self, app: ASGIApp, protocol: type[HttpProtocol] = HttpProtocol) -> None:
        super().__init__(configuration(app, protocol, KEEP_ALIVE_SECONDS))
        self._told_to_stop = asyncio.Event()
        self._grace_seconds = 0.0

    def stop(self, grace_seconds: float) -> None:
        """Accept nothing more, and give answers under way this time to end. Call it in the event loop."""
        self._grace_seconds = grace_seconds
        self._told_to_stop.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave every signal as it is."""
        yield

    async def main_loop(self) -> None:
        """Wait until the server is told to stop, without waking up."""
        await self._told_to_stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close idle connections at once, the others when their answer has been sent or the time is over."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            _, late = await asyncio.wait(set(self.server_state.tasks), timeout=self._grace_seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1.0)
