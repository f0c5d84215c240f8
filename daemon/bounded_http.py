"""uvicorn's HTTP/1.1 protocol with a bound on the size of a request's head and on the time it may take.

Both sockets use it, so that no client can hold a connection open, or fill memory, before there is a request at all.
"""

import asyncio
import http

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 << 10
"""Request line and headers."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Who inherits says how an error is written, and how many seconds a head may take."""

    head_seconds: float
    """From the connection, or the first byte of a further request, to the end of its headers."""

    _head_bytes = 0
    _in_head = True
    _head_deadline: asyncio.TimerHandle | None = None

    def error_body(self, status: int, code: str, message: str) -> bytes:
        """Write an error as JSON, for an answer to what never became a request."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("HTTP needs a stream")
        super().connection_made(transport)
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
            if self._head_bytes > HEAD_BYTES and not 0 <= data.find(b"\r\n\r\n") <= HEAD_BYTES:
                self.refuse(431, "headers_too_large", f"request line and headers are over {HEAD_BYTES} bytes")
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
        self.refuse(400, "bad_request", msg)

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answer before there is a request that the application could answer, and close."""
        body = self.error_body(status, code, message)
        head = f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _too_slow(self) -> None:
        self.refuse(408, "too_slow", f"no request arrived within {self.head_seconds:g} seconds")

    def _start_clock(self) -> None:
        if self._head_deadline is None:
            self._head_deadline = self.loop.call_later(self.head_seconds, self._too_slow)

    def _stop_clock(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None
