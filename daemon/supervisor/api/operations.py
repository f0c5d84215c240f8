"""What an operation of the control API is: its place, what it needs, what it takes, and who carries it out."""

import asyncio
import json
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from control.paths import is_there
from daemon.messages import WorkerName
from daemon.settings.reload import Changes
from daemon.settings.sections import Tables
from daemon.supervisor.api.errors import ControlError
from daemon.supervisor.api.permissions import Access, Peer, may
from daemon.supervisor.forgetting.forgetter import Forgetter
from daemon.supervisor.learning.learning import Learning
from daemon.supervisor.remote.attempts import RemoteAttempts

MAX_BODY = 1 << 20
"""Bytes of a request's body."""

NUMBERS_END = 10**18
"""Numbers of cycles and versions are smaller than this: SQLite has none of 20 digits."""

_BODY_SECONDS = 30.0
_MOST_LISTED = 10_000


class Body(BaseModel):
    """What the body of a request carries."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _finite(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse ``NaN`` and infinity, which pydantic reads and no answer can carry."""
    json.dumps(value, allow_nan=False)
    return value


JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_finite)]
"""An object that is kept as it is and given back to clients."""

_B = TypeVar("_B", bound=Body)


class Service(Protocol):
    """The service as a whole, as the control API needs it."""

    @property
    def tables(self) -> Tables:
        """The settings as they are now."""
        ...

    def status(self) -> dict[str, JsonValue]:
        """``state``, ``reasons``, ``home``, ``pid``, ``uptime_seconds``, ``api``, ``workers``, from memory."""
        ...

    def configuration(self) -> dict[str, JsonValue]:
        """``settings``, ``origins``, ``profile``, ``why``; none of them is a secret."""
        ...

    def request_stop(self, *, now: bool = False) -> None:
        """Begin to stop; returns before anything has stopped."""
        ...

    async def reload(self) -> Changes:
        """Read the settings again, and apply those that can change while thord runs.

        Raises:
            SettingsError: they are wrong; the old ones stay.
        """
        ...

    async def start_worker(self, name: WorkerName) -> None:
        """Start one worker and wait until it is ready."""
        ...

    async def stop_worker(self, name: WorkerName) -> None:
        """Stop one worker, and return when its process has ended."""
        ...

    async def restart_worker(self, name: WorkerName) -> None:
        """Restart one worker and wait until it is ready."""
        ...


@dataclass(frozen=True)
class ApiContext:
    """What the operations work on."""

    service: Service
    learning: Learning
    forgetter: Forgetter
    remote: RemoteAttempts


@dataclass(frozen=True)
class Call:
    """One request, with who sent it."""

    context: ApiContext
    request: Request
    peer: Peer

    @property
    def by(self) -> str:
        """The caller, for reasons and logs."""
        return f"uid {self.peer.uid}"

    @property
    def is_admin(self) -> bool:
        """Whether the caller may do everything."""
        return may(self.peer, Access.ADMIN, owner=os.geteuid(), group=None)

    def number(self, name: str) -> int:
        """A number in the path.

        Raises:
            ControlError: it is none.
        """
        text: str = self.request.path_params[name]
        if not (text.isascii() and text.isdecimal() and len(text) <= 18):
            raise ControlError(404, "not_found", f"{text!r} is not a number")
        return int(text)

    def option(self, name: str, default: int) -> int:
        """A number in the query.

        Raises:
            ControlError: it is none.
        """
        text = self.request.query_params.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= 18):
            raise ControlError(400, "bad_request", f"{name} must be a number, not {text[:40]!r}")
        return int(text)

    def limit(self, default: int = 100) -> int:
        """How many to list at most."""
        return min(self.option("limit", default), _MOST_LISTED)

    async def body(self, shape: type[_B]) -> _B:
        """The body, read and checked; an empty one is as good as ``{}``.

        Raises:
            ControlError: it is too large, too slow, no JSON, or not of that shape.
        """
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                content = await self._read()
        except TimeoutError:
            raise ControlError(408, "too_slow", f"the body did not arrive in {_BODY_SECONDS:g} seconds") from None
        try:
            return shape.model_validate_json(content or b"{}")
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'the body'}: {fault['msg']}" for fault in error.errors()[:5]
            )
            raise ControlError(400, "bad_request", faults) from None

    async def _read(self) -> bytes:
        content = bytearray()
        async for piece in self.request.stream():
            content += piece
            if len(content) > MAX_BODY:
                raise ControlError(413, "too_large", f"a body may have {MAX_BODY} bytes")
        return bytes(content)


@dataclass(frozen=True)
class Operation:
    """One line of the control API.

    Attributes:
        needs: who may call it.
        mutates: it is logged with uid and pid.
        body: what it takes.
        query: names of its query parameters, with what they mean.
    """

    method: str
    path: str
    needs: Access
    summary: str
    run: Callable[[Call], Awaitable[Response]]
    body: type[Body] | None = None
    query: Mapping[str, str] | None = None

    @property
    def mutates(self) -> bool:
        """Whether the operation changes something."""
        return self.method != "GET"


def check_files(files: tuple[str, ...]) -> None:
    """Say at once what could not be read later.

    Raises:
        ControlError: a path is relative, or nothing is there.
    """
    for file in files:
        if "\0" in file or not Path(file).is_absolute():
            raise ControlError(422, "bad_request", f"{file!r} is not an absolute path")
        if not is_there(Path(file)):
            raise ControlError(422, "no_such_file", f"{file} does not exist, or thord's user may not see it")


def new_request_id() -> str:
    """A name for one request, to find it in the log."""
    return secrets.token_hex(8)
