"""Errors, in the shape that the clients of each API read.

| path              | shape                                                                       |
| ----------------- | --------------------------------------------------------------------------- |
| ``/api/...``      | Ollama's: ``{"error": MESSAGE}``                                            |
| ``/v1/messages``  | Anthropic's: ``{"type": "error", "error": {"type", "message"}}``            |
| ``/runs/...``,    | Model Trainer's: ``{"code", "message", "request_id"}``, with its codes      |
| ``/tokenizers/...`` |                                                                           |
| any other         | OpenAI's: ``{"error": {"message", "type", "param", "code"}}``               |
"""

from collections.abc import Mapping

from pydantic import JsonValue
from starlette.responses import JSONResponse

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}

_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


_RUNS = ("/runs/", "/tokenizers/")
_RUN_CODES = {
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    500: "INTERNAL_ERROR",
}
INVALID = frozenset({"invalid_json", "invalid_value"})
"""Codes of requests that are not as their schema says."""


class ApiError(Exception):
    """An answer that is an error. OpenAI's clients retry 408, 409, 429 and 5xx, and honour Retry-After."""

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

    def renamed(self, names: Mapping[str, str]) -> "ApiError":
        """The same error for a client that knows fields by other names: those that ``names`` gives them."""
        name = next((each for each in names if self.param == each or (self.param or "").startswith(f"{each}.")), None)
        if name is None or self.param is None:
            return self
        param = names[name] + self.param.removeprefix(name)
        says = self.message.removeprefix(self.param)
        message = self.message if says == self.message else param + says
        found = ApiError(self.status, self.code, message, param=param)
        found.headers = self.headers
        return found

    def worded_for(self, path: str, request_id: str = "") -> dict[str, JsonValue]:
        """The JSON of this error for a request of ``path``, also sent as an event where a stream has begun already."""
        if path.startswith("/api/"):
            return {"error": self.message}
        if path.startswith(_RUNS):
            code = "INVALID_INPUT" if self.code in INVALID else _RUN_CODES.get(self.status, self.code.upper())
            return {"code": code, "message": self.message, "request_id": request_id}
        default = "invalid_request_error" if self.status < 500 else "server_error"
        if path.startswith("/v1/messages"):
            kind = _ANTHROPIC_TYPES.get(self.status, default.replace("server", "api"))
            return {"type": "error", "error": {"type": kind, "message": self.message}}
        kind = _TYPES.get(self.status, default)
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self, path: str = "", request_id: str = "") -> JSONResponse:
        """The whole HTTP answer for this error."""
        return JSONResponse(self.worded_for(path, request_id), self.status, self.headers)
