"""The first check of every request: it must be meant for this server, and no page of another site may have sent it."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from daemon.workers.server import headers
from daemon.workers.server.access.policy import AccessPolicy
from daemon.workers.server.errors import ApiError
from daemon.workers.server.metrics import Metrics

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST_NAME = 100


class OriginGuard:
    """Refuses foreign hosts and origins on every route.

    The Unix socket is guarded by the permissions of its file instead: no browser reaches it.
    """

    def __init__(self, app: ASGIApp, policy: AccessPolicy, metrics: Metrics) -> None:
        self._app = app
        self._policy = policy
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or answer it with 403 or 421."""
        request = Request(scope)
        if not request.state.local:
            try:
                self._check_host(request)
                self._check_origin(request)
            except ApiError as error:
                self._metrics.refused.labels(error.code).inc()
                await error.response(request.url.path, headers.request_id(request))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check_host(self, request: Request) -> None:
        """Whoever sends no ``Host`` is not a browser."""
        for host in request.headers.getlist("host"):
            if not self._policy.hosts.knows(host):
                shown = host[:_LONGEST_NAME]
                message = f"this server is not called {shown!r}: if it is reached by that name, add it to api.hosts"
                raise ApiError(421, "unknown_host", message)

    def _check_origin(self, request: Request) -> None:
        """Refuse what a page of another site has a browser send. That page could not read the answer, but its chats
        would be learned. Browsers ask nobody before they send what a form could have sent, and say where it is from:
        in ``Sec-Fetch-Site``, old ones in ``Origin`` only.
        """
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        if "*" in self._policy.origins or origin in self._policy.origins:
            return
        foreign = origin is not None and not self._policy.hosts.serves_page(origin, request.headers.get("host", ""))
        if (request.method == "OPTIONS" and "access-control-request-method" in request.headers) or site is None:
            refused = foreign
        else:
            refused = site in {"cross-site", "same-site"} and request.method not in _SAFE
        if refused:
            message = f"pages of {origin or 'this origin'} may not use the API: add the origin to api.allow_origins"
            raise ApiError(403, "other_site", message[: 4 * _LONGEST_NAME])
