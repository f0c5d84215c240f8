"""uvicorn's HTTP/1.1 protocol with a bound on the size of a request's head and on the time it may take.

What stands around the body of a request that comes in chunks is bounded too: extensions of chunks, and trailers, which
are no headers of it and are dropped.

Both sockets use it, so that no client can hold a connection open, or fill memory, before there is a request at all.
Two things that uvicorn leaves out are made up for: a request that asks for another protocol keeps its body, and every
request of a connection that is lost hears of it, not only the one that came last.
"""

import asyncio
import http
from array import array

import httptools
from starlette.types import ASGIApp

from daemon.without_module import without_names

with without_names("uvicorn.main", ("Server", "main", "run")):  # its command line, and click: 1 MB of each process
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
    from uvicorn.server import Server as Server  # both HTTP servers take them from here
    from uvicorn.server import ServerState as ServerState

HEAD_BYTES = 64 << 10
"""Request line and headers."""


def configuration(app: ASGIApp, protocol: "type[BoundedProtocol]", keep_alive_seconds: int) -> Config:
    """What both sockets ask of uvicorn: no logs, no headers of its own, nothing believed of a proxy."""
    return Config(
        app,
        loop="asyncio",
        http=protocol,
        ws="none",
        lifespan="off",
        timeout_keep_alive=keep_alive_seconds,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        log_config=None,
        log_level="warning",
    )


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Who inherits says how an error is written, and how many seconds a head may take."""

    head_seconds: float
    """From the connection, or the first byte of a further request, to the end of its headers."""

    _head_bytes = 0
    _head_end = b""
    _in_head = True
    _unread_bytes = 0
    _head_deadline: asyncio.TimerHandle | None = None
    _plain_head = b""
    _cycles: tuple[RequestResponseCycle, ...] = ()

    def error_body(self, status: int, code: str, message: str) -> bytes:
        """Write an error as JSON, for an answer to what never became a request."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("HTTP needs a stream")
        super().connection_made(transport)
        self.parser = _PlainParser(self)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the connection."""
        self._stop_clock()
        super().connection_lost(exc)
        for cycle in self._cycles:
            cycle.disconnected = True
            cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Refuse a head that does not end in time; what follows its end is body."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not 0 <= (self._head_end + data).find(b"\r\n\r\n") <= HEAD_BYTES:
                self.refuse(431, "headers_too_large", f"request line and headers are over {HEAD_BYTES} bytes")
                return
            self._head_end = (self._head_end + data)[-3:]
        self._unread_bytes += len(data)
        super().data_received(data)
        if not self._in_head and self._unread_bytes > HEAD_BYTES:
            self.refuse(431, "framing_too_large", f"over {HEAD_BYTES} bytes were neither head nor body")

    def on_message_begin(self) -> None:
        """Begin to count bytes and seconds."""
        self._in_head = True
        self._start_clock()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One more, unless it is a trailer."""
        if self._in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._unread_bytes = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """The head is whole; what follows is body, or the next request."""
        if self.parser.should_upgrade() and b"upgrade" in dict(self.headers):
            self._plain_head = self._without_upgrade()
            return
        self._in_head = False
        self._head_bytes = self._unread_bytes = 0
        self._head_end = b""
        self._stop_clock()
        super().on_headers_complete()
        self._cycles = (*(cycle for cycle in self._cycles if not cycle.response_complete), self.cycle)

    def on_message_complete(self) -> None:
        """The request is whole, unless its head is to be read again."""
        self._unread_bytes = 0
        if not self._plain_head:
            super().on_message_complete()

    def take_plain_head(self) -> bytes:
        """The head to be read again, once."""
        head, self._plain_head = self._plain_head, b""
        return head

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no HTTP."""
        self.refuse(400, "bad_request", msg)

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answer before there is a request that the application could answer, and close."""
        body = self.error_body(status, code, message)
        head = f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _without_upgrade(self) -> bytes:
        line = b" ".join((self.parser.get_method(), self.url, b"HTTP/" + self.parser.get_http_version().encode()))
        kept = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join((line, *kept, b"", b""))

    def _too_slow(self) -> None:
        self.refuse(408, "too_slow", f"no request arrived within {self.head_seconds:g} seconds")

    def _start_clock(self) -> None:
        if self._head_deadline is None:
            self._head_deadline = self.loop.call_later(self.head_seconds, self._too_slow)

    def _stop_clock(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None


class _PlainParser(httptools.HttpRequestParser):
    """Goes on with HTTP/1.1 where a client would rather speak something else, as Java's do: ``Upgrade: h2c``.

    httptools takes what follows such a head for the other protocol. So the head is read again without that wish.
    """

    def __init__(self, protocol: BoundedProtocol) -> None:
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self._protocol = protocol

    def feed_data(self, data: "bytes | bytearray | memoryview | array[int]") -> None:
        """Parse more bytes."""
        rest = memoryview(data)
        while rest:
            try:
                super().feed_data(rest)
                return
            except httptools.HttpParserUpgrade as asked:
                rest = rest[asked.args[0] :]
                super().feed_data(self._protocol.take_plain_head())
