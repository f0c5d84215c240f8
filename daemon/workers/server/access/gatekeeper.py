"""What stands before every route: who has a key, and that whatever happens ends as an answer."""

import asyncio
from email.utils import formatdate

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon import log
from daemon.workers.server.api import fields
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import Service

PAGE = "/docs"
"""What the API is, for people: a browser has no key when it asks. Its scripts come from here, not from other hosts."""
PAGE_SCRIPTS = "/docs-scripts"
_OPEN = frozenset({"/healthz", "/health", "/ping", "/readyz", "/version", "/metrics", PAGE, "/openapi.json"})
_logger = log.get(__name__)


class Gatekeeper:
    """Checks keys, counts answers, and turns what nobody caught into a 500 that says so."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. ``HEAD`` is answered wherever ``GET`` is: uvicorn leaves the body out."""
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        request = Request(scope, receive)
        status = 0

        async def send_dated(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"date", formatdate(usegmt=True).encode())]
                if ignored := request.state.ignored:
                    message["headers"].append((fields.IGNORED_HEADER.encode(), fields.header(ignored).encode()))
            await send(message)

        try:
            self._admit(request)
            await self._app(scope, receive, send_dated)
        except ApiError as error:
            await error.response()(scope, receive, send_dated)
        except asyncio.CancelledError:
            raise
        except Exception:
            _logger.exception("a request failed", method=request.method, path=request.url.path)
            if not status:
                failure = ApiError(500, "internal_error", "the server failed; its log says why")
                await failure.response()(scope, receive, send_dated)
        finally:
            route = scope.get("route")
            self._service.metrics.requests.labels(getattr(route, "path", "other"), str(status or 499)).inc()

    def _admit(self, request: Request) -> None:
        """Let it in, or raise what answers it. The Unix socket is guarded by its file's permissions instead of keys."""
        request.state.client = str(request.state.connection)
        request.state.owner = ""
        request.state.ignored = []
        path = request.url.path
        if request.state.local or path in _OPEN or path.startswith(f"{PAGE_SCRIPTS}/"):
            return
        keys = self._service.keys
        if keys is None:
            raise ApiError(503, "keys_unreadable", self._service.keys_error)
        if not keys.required:
            return
        scheme, _, written = request.headers.get("authorization", "").partition(" ")
        key = written.strip(" \t").encode("latin-1")  # the bytes that came
        if scheme.lower() != "bearer" or not keys.knows(key):
            message = "the API key is missing or wrong: send 'Authorization: Bearer KEY'"
            if keys.holds_as_sum(key):
                message = (
                    "the API key is 64 hexadecimal digits, and the file of keys takes those for the SHA-256 of a key: "
                    "write the SHA-256 of this one there"
                )
            error = ApiError(401, "invalid_api_key", message)
            error.headers["www-authenticate"] = "Bearer"
            raise error
        request.state.client = request.state.owner = keys.owner(key)
