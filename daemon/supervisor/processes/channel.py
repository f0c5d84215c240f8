"""The supervisor's end of the channel: workers connect to one Unix socket and prove themselves by a one-time token.

Whatever bytes come in, the worst that happens is that their connection is closed and a line is logged.
"""

import asyncio
import hmac
import secrets
import socket
from collections.abc import Callable

from daemon import log
from daemon.messages import (
    MAX_LINE,
    PROTOCOL,
    BadMessageError,
    FromWorker,
    Hello,
    Message,
    WorkerName,
    decode_from_worker,
    encode,
)

_logger = log.get(__name__)

_READ_AT_ONCE = 1 << 15
"""Bytes taken from one connection before others get their turn."""
_MAX_HELLO = 4096
_MAX_STRANGERS = 32
_MAX_UNSENT = 4 * MAX_LINE


class ChannelServer:
    """All connections. Tokens are handed out with `expect` and used up by the first `Hello` that carries them.

    Args:
        on_hello: a worker proved itself; takes its connection.
        on_message: called for each later message.
        hello_seconds: a connection that has not proved itself by then is closed.
    """

    def __init__(
        self,
        on_hello: "Callable[[Connection], None]",
        on_message: "Callable[[Connection, FromWorker], None]",
        hello_seconds: float = 10.0,
    ) -> None:
        self._on_hello = on_hello
        self._on_message = on_message
        self.hello_seconds = hello_seconds
        self._tokens: dict[WorkerName, str] = {}
        self._strangers: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Listen on a bound socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Connection(self), sock=listener)

    def close(self) -> None:
        """Take no more connections, and close those that never said hello."""
        if self._server is not None:
            self._server.close()
        for stranger in tuple(self._strangers):
            stranger.close()

    def expect(self, worker: WorkerName) -> str:
        """A new token for the next process of ``worker``; an older one that was never used is void."""
        self._tokens[worker] = secrets.token_urlsafe(32)
        return self._tokens[worker]

    def admit(self, stranger: "Connection") -> bool:
        """Whether there is room for one more connection that has not proved itself."""
        if len(self._strangers) >= _MAX_STRANGERS:
            return False
        self._strangers.add(stranger)
        return True

    def dismiss(self, stranger: "Connection") -> None:
        """Count a connection no longer as a stranger: its worker is known, or it is gone."""
        self._strangers.discard(stranger)

    def introduce(self, connection: "Connection", hello: Hello) -> str | None:
        """Check a `Hello`; the reason for which it is refused, or nothing."""
        if hello.protocol != PROTOCOL:
            return f"it speaks protocol {hello.protocol}, this supervisor {PROTOCOL}: another version of thord"
        expected = self._tokens.get(hello.worker, "")
        if not hmac.compare_digest(expected.encode(), hello.token.encode()) or not expected:
            return f"its token for {hello.worker} is unknown or used up"
        del self._tokens[hello.worker]
        connection.worker = hello.worker
        self._on_hello(connection)
        return None

    def deliver(self, connection: "Connection", message: FromWorker) -> None:
        """Hand a message to whoever reads what workers say."""
        self._on_message(connection, message)


class Connection(asyncio.BufferedProtocol):
    """One connection. ``worker`` is set once it has proved itself."""

    def __init__(self, channel: ChannelServer) -> None:
        self.worker: WorkerName | None = None
        self._channel = channel
        self._incoming = bytearray(_READ_AT_ONCE)
        self._line = bytearray()
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None

    def send(self, message: Message) -> bool:
        """Queue one message. False when the connection is gone, or its reader has stopped reading long ago."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() > _MAX_UNSENT:
            self._refuse("it does not read what it is sent")
            return False
        self._transport.write(encode(message))
        return True

    def close(self) -> None:
        """Close at once; a worker at the other end takes it as the end of its supervisor."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give a stranger some seconds to prove itself; refuse it where too many wait already."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"a stream is expected, not {type(transport).__name__}")
        self._transport = transport
        if not self._channel.admit(self):
            self._refuse("too many connections without a hello")
            return
        loop, seconds = asyncio.get_running_loop(), self._channel.hello_seconds
        self._patience = loop.call_later(seconds, self._refuse, f"no hello within {seconds:g} s")

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the next bytes go."""
        return self._incoming

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came in: take every whole line out of them."""
        self._line += memoryview(self._incoming)[:nbytes]
        start = 0
        while (end := self._line.find(b"\n", start)) >= 0:
            self._take(bytes(self._line[start:end]))
            if self._transport is None or self._transport.is_closing():
                self._line.clear()
                return
            start = end + 1
        del self._line[:start]
        if len(self._line) > self._limit():
            self._refuse(f"a line is longer than {self._limit()} bytes")

    def eof_received(self) -> bool:
        """The other end is done; so is this one."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone; the worker's exit is learned from its process, not from here."""
        self._settle_in()
        self._transport = None

    # ---------------------------------------------------------------------------------------------------------------

    def _limit(self) -> int:
        return _MAX_HELLO if self.worker is None else MAX_LINE

    def _take(self, line: bytes) -> None:
        if len(line) > self._limit():
            self._refuse(f"a line is longer than {self._limit()} bytes")
            return
        try:
            message = decode_from_worker(line)
        except BadMessageError as error:
            # What a stranger said is not logged: it may be a token that somebody mangled.
            self._refuse(str(error) if self.worker else "its first line is not a message")
            return
        if self.worker is not None and not isinstance(message, Hello):
            self._channel.deliver(self, message)
        elif self.worker is None and isinstance(message, Hello):
            self._settle_in()
            if refusal := self._channel.introduce(self, message):
                self._refuse(refusal)
        else:
            self._refuse("a hello must come first, and only once")

    def _settle_in(self) -> None:
        self._channel.dismiss(self)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _refuse(self, reason: str) -> None:
        _logger.warning("a connection to the channel is closed", peer=self.worker or "unknown", reason=reason[:500])
        self.close()
