"""HTTP with JSON over one of thord's Unix sockets."""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import socket
import struct
from typing import TYPE_CHECKING, TypeVar

from control import errors
from control.paths import socket_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from control.answers import Json

T = TypeVar("T")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if self.timeout is not None:
            # A busy listener's queue may be full. The kernel waits for room only on a blocking socket, so its own
            # time-out is used here, and Python's from then on.
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(self.timeout), 0))
        self.sock.connect(socket_address(self._path))
        self.sock.settimeout(self.timeout)


class Endpoint:
    """One socket of thord, and what may be asked there. A connection is made for each request."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, target: str, shape: type[T], timeout: float | None = 30.0) -> T:
        """The JSON at ``target``; ``shape`` says what the daemon's contract promises there."""
        return self._call("GET", target, None, shape, timeout)

    def post(
        self, target: str, shape: type[T], body: Mapping[str, Json] | None = None, timeout: float | None = 30.0
    ) -> T:
        """Ask for something to be done; ``timeout`` None waits as long as it takes."""
        return self._call("POST", target, body or {}, shape, timeout)

    def _call(
        self, method: str, target: str, body: Mapping[str, Json] | None, shape: type[T], timeout: float | None
    ) -> T:
        """One request, one JSON answer.

        Raises:
            ThordError: of the class that the failure calls for.
        """
        with self._answer(method, target, body, timeout) as answer:
            return _parsed(answer.read(), shape)

    def lines(self, method: str, target: str, body: Mapping[str, Json] | None = None) -> Iterator[bytes]:
        """The lines of an answer as they arrive, without their ends. Empty lines (keep-alives) are left out.

        Raises:
            ThordError: as for `get`; also where thord goes away in the middle.
        """
        with self._answer(method, target, body, None) as answer:
            while line := answer.readline():
                if text := line.strip():
                    yield text

    @contextlib.contextmanager
    def _answer(
        self, method: str, target: str, body: Mapping[str, Json] | None, timeout: float | None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = _UnixConnection(self.path, timeout)
        content = None if body is None else json.dumps(body).encode()
        headers = {} if content is None else {"Content-Type": "application/json"}
        try:
            with contextlib.suppress(BrokenPipeError):  # refused before all of it was sent: the answer says why
                connection.request(method, target, content, headers)
            answer = connection.getresponse()
            if answer.status >= 400:
                raise _failure(answer)
            yield answer
        except (TimeoutError, BlockingIOError) as error:
            raise errors.NoAnswerError(
                f"thord gave no answer within {timeout:.0f} s on {self.path}; its log may say why: thorctl logs"
            ) from error
        except http.client.HTTPException as error:
            raise errors.ThordError(f"thord broke off its answer on {self.path}: {error!r}", "broken_answer") from error
        except OSError as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _unreachable(self, error: OSError) -> errors.ThordError:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED}:
            return errors.NotRunningError(f"thord is not running (no socket at {self.path}); start it: thorctl start")
        if error.errno in {errno.EACCES, errno.EPERM}:
            return errors.NotPermittedError(
                f"this user may not open {self.path}; become a member of its group (usermod -aG thord USER, then log "
                "in again), or use sudo"
            )
        return errors.ThordError(f"the connection to thord at {self.path} failed: {error.strerror or error}", "broken")


def query(target: str, **parameters: str | int | None) -> str:
    """``target`` with those parameters that are not None."""
    from urllib.parse import urlencode

    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{target}?{urlencode(given)}" if given else target


def _parsed(content: bytes, _: type[T]) -> T:
    try:
        value: T = json.loads(content or b"null")
    except ValueError as error:
        raise errors.ThordError(f"thord's answer is not JSON: {content[:200]!r}", "broken_answer") from error
    return value


def _failure(answer: http.client.HTTPResponse) -> errors.ThordError:
    """The error in an answer: ``{"error": {"code", "message"}}``, else whatever it says."""
    content = answer.read(1 << 20)
    try:
        value: Json = json.loads(content)
    except ValueError:
        value = None
    detail = value.get("error") if isinstance(value, dict) else None
    if isinstance(detail, dict):
        code, message = detail.get("code"), detail.get("message")
        if isinstance(message, str):
            return errors.from_http(answer.status, code if isinstance(code, str) else None, message)
    text = content[:500].decode(errors="replace").strip()
    return errors.from_http(answer.status, None, f"HTTP {answer.status} {answer.reason}: {text}")
