"""HTTP/1.1 on a Unix socket: uvicorn's protocol without uvicorn's server, whose clock ticks ten times a second.

Each request carries the peer's credentials in ``request.state.peer``. Sizes, times and the number of connections are
bounded, so that no client can starve the others or the supervisor.
"""

import asyncio
import json
import socket

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from daemon.supervisor.permissions import peer_of

MAX_CONNECTIONS = 256
MAX_HEAD = 64 << 10
"""Bytes of request line and headers."""

HEAD_SECONDS = 10.0
"""Time for a client to send them."""

KEEP_ALIVE_SECONDS = 5
_STOP_SECONDS = 0.2


class ControlProtocol(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _in_head = True
    _head_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the peer's credentials."""
        stream: socket.socket | None = transport.get_extra_info("socket")
        if not isinstance(transport, asyncio.Transport) or stream is None:
            transport.close()
            return
        super().connection_made(transport)
        try:
            self.app_state = {"peer": peer_of(stream)}
        except OSError:  # it is gone already
            transport.abort()
            return
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(503, "busy", f"there are {MAX_CONNECTIONS} connections already; try again")
            return
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the connection."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuse a head that does not end in time; what follows its end is body."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD and not 0 <= data.find(b"\r\n\r\n") <= MAX_HEAD:
                self._refuse(431, "headers_too_large", f"request line and headers are over {MAX_HEAD} bytes")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin to count bytes and seconds."""
        self._in_head = True
        self._start_clock()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole; what follows is body, or the next request."""
        self._in_head = False
        self._head_bytes = 0
        self._stop_clock()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no HTTP."""
        self._refuse(400, "bad_request", msg)

    def _too_slow(self) -> None:
        self._refuse(408, "too_slow", f"no request arrived within {HEAD_SECONDS:g} seconds")

    def _start_clock(self) -> None:
        if self._head_deadline is None:
            self._head_deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop_clock(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer before there is a request that the application could answer."""
        body = json.dumps({"error": {"code": code, "message": message, "request_id": None}}).encode()
        head = f"HTTP/1.1 {status} \r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()


class HttpServer:
    """Serves an application on a socket that is bound and listening."""

    def __init__(self, app: ASGIApp) -> None:
        self._config = Config(
            app,
            http=ControlProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
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
