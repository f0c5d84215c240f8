"""What stands before every route: it checks the key, and whatever happens ends as an answer."""

import asyncio
from email.utils import formatdate

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon import log
from daemon.api_keys import LOCAL
from daemon.workers.server import headers
from daemon.workers.server.access import paths
from daemon.workers.server.access.policy import AccessPolicy
from daemon.workers.server.access.scopes import NEEDED, permits
from daemon.workers.server.errors import ApiError
from daemon.workers.server.metrics import Metrics

PAGE = "/docs"
"""The page that describes the API, open because a browser sends no key. Its scripts come from here, not from other
hosts."""
PAGE_SCRIPTS = "/docs-scripts"
_OPEN = {path for (_, path), scope in NEEDED.items() if scope is None} | {PAGE, "/openapi.json"}
_logger = log.get(__name__)


class Gatekeeper:
    """Checks keys, has paths mean what their writers meant, counts answers, and turns uncaught errors into a 500."""

    def __init__(self, app: ASGIApp, policy: AccessPolicy, metrics: Metrics) -> None:
        self._app = app
        self._policy = policy
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. ``HEAD`` is answered wherever ``GET`` is: uvicorn leaves the body out."""
        path = paths.meant(scope["path"])
        if path != scope["path"]:
            scope = {**scope, "path": path, "raw_path": path.encode()}
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        request = Request(scope, receive)
        request_id = headers.request_id(request)
        status = 0

        async def send_dated(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = headers.REQUEST_ID.encode(), request_id.encode()
                message["headers"] = [*message.get("headers", ()), (b"date", formatdate(usegmt=True).encode()), named]
                if ignored := request.state.ignored:
                    message["headers"].append(
                        (headers.IGNORED_FIELDS.encode(), headers.ignored_fields(ignored).encode())
                    )
            await send(message)

        try:
            self._admit(request)
            await self._app(scope, receive, send_dated)
        except ApiError as error:
            await error.response(path, request_id)(scope, receive, send_dated)
        except asyncio.CancelledError:
            raise
        except Exception:
            _logger.exception("a request failed", method=request.method, path=request.url.path, request_id=request_id)
            if not status:
                failure = ApiError(500, "internal_error", "the server failed; its log says why")
                await failure.response(path, request_id)(scope, receive, send_dated)
        finally:
            route = scope.get("route")
            self._metrics.requests.labels(getattr(route, "path", "other"), str(status or 499)).inc()

    def _admit(self, request: Request) -> None:
        """Note whose request it is, and what it may do.

        The Unix socket needs no key: the permissions of its file guard it.

        Raises:
            ApiError: 401, the key is missing or wrong; 503, the file of keys cannot be read.
        """
        request.state.client = str(request.state.connection)
        request.state.owner = ""
        request.state.ignored = []
        request.state.scopes = LOCAL if request.state.local else self._policy.anonymous
        path = request.url.path
        if request.state.local or path in _OPEN or path.startswith(f"{PAGE_SCRIPTS}/"):
            return
        keys = self._policy.keys
        if keys is None:
            raise ApiError(503, "keys_unreadable", self._policy.keys_error)
        if not keys.required:
            return
        key = _key_of(request)
        scopes = None if key is None else keys.scopes(key)
        if key is None or scopes is None:
            message = "the API key is missing or wrong: send 'Authorization: Bearer KEY' or 'x-api-key: KEY'"
            if key is not None and keys.holds_as_sum(key):
                message = (
                    "the API key is 64 hexadecimal digits, and the file of keys takes those for the SHA-256 of a key: "
                    "write the SHA-256 of this one there"
                )
            error = ApiError(401, "invalid_api_key", message)
            error.headers["www-authenticate"] = "Bearer"
            raise error
        request.state.client = request.state.owner = keys.owner(key)
        request.state.scopes = scopes


def _key_of(request: Request) -> bytes | None:
    """The key that came, as bytes: as a bearer's, or, as clients of Anthropic's API send it, under its own name."""
    written = request.headers.get("authorization")
    if written is None:
        written = f"bearer {request.headers.get('x-api-key', '')}"
    scheme, _, key = written.partition(" ")
    return key.strip(" \t").encode("latin-1") if scheme.lower() == "bearer" else None


async def check_scope(request: Request) -> None:
    """Refuse a caller who lacks the scope of the route that was found.

    Raises:
        ApiError: 403, and which scope is missing.
    """
    needed = NEEDED[request.method, request.scope["route"].path]
    if permits(request.state.scopes, needed):
        return
    if request.state.owner:
        message = f"this API key lacks the scope {needed!r}: add it to the key's line in the file of keys"
    else:
        message = f"this needs an API key with the scope {needed!r}: name a file of keys in api.keys_file"
    raise ApiError(403, "missing_scope", message)
