"""The control API: HTTP and JSON on ``control.sock``. Every operation passes the one door in `_entrance`."""

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon import log
from daemon.supervisor.api import errors, openapi
from daemon.supervisor.api.errors import ControlError
from daemon.supervisor.api.http_server import HttpServer
from daemon.supervisor.api.operations import ApiContext, Call, Operation, new_request_id
from daemon.supervisor.api.permissions import Access, Peer, may
from daemon.supervisor.api.routes import cycles, data, events, imports, jobs, retention, service, versions, work

_logger = log.get(__name__)


async def _describe(_: Call) -> Response:
    """Answers with this document."""
    return JSONResponse(openapi.describe(OPERATIONS))


OPERATIONS: tuple[Operation, ...] = (
    *service.OPERATIONS,
    *cycles.OPERATIONS,
    *jobs.OPERATIONS,
    *work.OPERATIONS,
    *versions.OPERATIONS,
    *imports.OPERATIONS,
    *retention.OPERATIONS,
    *data.OPERATIONS,
    *events.OPERATIONS,
    Operation("GET", "/v1/openapi.json", Access.READ, "The description of this API", _describe),
)


class ControlApi:
    """Serves the operations on the control socket.

    Args:
        context: what they work on.
        owner: the service's own user.
        group: the group whose members may read and give work; null: none.
    """

    def __init__(self, context: ApiContext, *, owner: int, group: int | None) -> None:
        self._context = context
        self._owner = owner
        self._group = group
        routes = [
            Route(operation.path, self._entrance(operation), methods=[operation.method]) for operation in OPERATIONS
        ]
        self._app = Starlette(routes=routes, exception_handlers={HTTPException: _answer, Exception: _answer})
        self._app.router.redirect_slashes = False
        self._server = HttpServer(self._app)

    async def start(self, listener: socket.socket) -> None:
        """Begin to answer on a socket that is bound and listening."""
        await self._server.start(listener)

    async def stop(self) -> None:
        """End the connections of all clients, and close the socket."""
        await self._server.stop()

    def _entrance(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def enter(request: Request) -> Response:
            request.state.request_id = new_request_id()
            try:
                return await operation.run(self._admit(request, operation))
            except ClientDisconnect:
                return Response(status_code=400)  # nobody reads it
            except errors.KNOWN as error:
                return errors.answer(request, error)

        return enter

    def _admit(self, request: Request, operation: Operation) -> Call:
        """Let the peer in, if it may, and log what it is about to change.

        Raises:
            ControlError: it may not.
        """
        peer = request.state.peer
        if not isinstance(peer, Peer):
            raise ControlError(403, "not_permitted", "the kernel does not say who you are")
        path = request.url.path
        if not may(peer, operation.needs, owner=self._owner, group=self._group):
            _logger.warning("refused", path=path, uid=peer.uid, pid=peer.pid, request_id=request.state.request_id)
            what = f"{operation.summary[0].lower()}{operation.summary[1:]}"
            raise ControlError(403, "not_permitted", f"uid {peer.uid} may not: {what}; ask root or thord's own user")
        if operation.mutates:
            _logger.info("request", path=path, uid=peer.uid, pid=peer.pid, request_id=request.state.request_id)
        return Call(self._context, request, peer)


def group_of(file: Path) -> int | None:
    """The group that may open a socket; null where only its owner may."""
    status = file.stat()
    return status.st_gid if status.st_mode & 0o020 else None


async def _answer(request: Request, error: Exception) -> Response:
    return errors.answer(request, error)
