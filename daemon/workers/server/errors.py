"""Errors in the shape that OpenAI's clients read: ``{"error": {"message", "type", "param", "code"}}``."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from daemon.workers.server.access.paths import hint

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}


class ApiError(Exception):
    """An answer that is an error. Clients of OpenAI's retry 408, 409, 429 and 5xx and honour Retry-After."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.headers: dict[str, str] = {}
        if retry_after is not None:
            self.headers["retry-after"] = f"{retry_after:.0f}"
        if close:
            self.headers["connection"] = "close"

    @property
    def body(self) -> dict[str, dict[str, str | None]]:
        """The JSON of this error, also sent as an event where a stream has begun already."""
        default = "invalid_request_error" if self.status < 500 else "server_error"
        kind = _TYPES.get(self.status, default)
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The whole HTTP answer."""
        return JSONResponse(self.body, self.status, self.headers)


def install(app: FastAPI) -> None:
    """Give every error of this application that shape."""

    @app.exception_handler(ApiError)
    async def refuse(_: Request, error: ApiError) -> JSONResponse:
        return error.response()

    @app.exception_handler(HTTPException)
    async def refuse_route(request: Request, error: HTTPException) -> JSONResponse:
        says = (hint(request.url.path) if error.status_code == 404 else None) or error.detail
        message = f"{request.method} {request.url.path}: {says}"
        found = ApiError(error.status_code, _code(error.status_code), message)
        found.headers.update(_plain(error.headers))
        return found.response()


def _code(status: int) -> str:
    return {404: "not_found", 405: "method_not_allowed"}.get(status, "invalid_request")


def _plain(headers: Mapping[str, str] | None) -> dict[str, str]:
    return dict(headers or {})
