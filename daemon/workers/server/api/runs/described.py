"""What the routes of runs say of themselves in the OpenAPI document: bodies, answers, and the errors of each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from fastapi import Request
from pydantic import BaseModel, JsonValue

from daemon.workers.server.api.bodies import read, spelled_out
from daemon.workers.server.api.request_body import RequestBody
from daemon.workers.server.api.runs.answers import ErrorAnswer
from daemon.workers.server.errors import ApiError

if TYPE_CHECKING:
    from _collections_abc import dict_items

B = TypeVar("B", bound=RequestBody)
_ERRORS = {
    400: "The request cannot be understood",
    401: "The API key is missing or wrong",
    403: "The key lacks a scope, or a file is outside of api.file_roots",
    404: "There is no such run, request, session or tokenizer",
    408: "The body did not arrive in time",
    409: "It is in another state than that asks for",
    413: "The body or the file is too large",
    421: "The server is not called what Host says",
    422: "Invalid request body or parameters",
    429: "Too many requests wait",
    500: "The server failed",
    503: "thord or the model is busy or restarting; see Retry-After",
}
_ANSWERS = {200: "Done, or as it is now", 202: "Accepted: look again after the seconds of Retry-After"}
_ALWAYS = (400, 401, 403, 404, 409, 421, 422, 500, 503)
NO_DEFAULT_ERROR: dict[int | str, dict[str, str]] = {422: {"description": _ERRORS[422]}}
"""For ``responses`` of every route: FastAPI must not describe errors of its own shape."""


class Described(dict[str, JsonValue]):
    """``openapi_extra`` of one route, worked out when the document is asked for.

    Args:
        answers: the body of each answer by its status, or its media type where that is not JSON.
        body: of the request.
    """

    def __init__(self, answers: Mapping[int, type[BaseModel] | str], body: type[RequestBody] | None = None) -> None:
        super().__init__()
        self._answers = answers
        self._body = body

    def __bool__(self) -> bool:
        return True

    def items(self) -> "dict_items[str, JsonValue]":
        """As of any dictionary; FastAPI reads it so."""
        if not len(self):
            responses: dict[str, JsonValue] = {
                str(status): _answer(_ERRORS[status], ErrorAnswer)
                for status in (*_ALWAYS, *((408, 413, 429) if self._body else ()))
            }
            for status, shape in self._answers.items():
                responses[str(status)] = _answer(
                    {200: "Successful Response", 202: "Accepted"}.get(status, "Done"), shape
                )
            self["responses"] = responses
            if self._body is not None:
                self["requestBody"] = {"required": True, "content": _content(self._body)}
        return super().items()


async def body_of(http: Request, schema: type[B], limit: int) -> B:
    """The body of a request, as `read`; what is wrong with it is a 422, as these routes are documented.

    Raises:
        ApiError: see `read`.
    """
    try:
        return await read(http, schema, limit)
    except ApiError as error:
        if error.status != 400 or error.code == "disconnected":
            raise
        raise ApiError(422, "invalid_value", error.message, param=error.param) from None


def _answer(description: str, shape: type[BaseModel] | str) -> JsonValue:
    return {"description": description, "content": _content(shape)}


def _content(shape: type[BaseModel] | str) -> JsonValue:
    if isinstance(shape, str):
        return {shape: {"schema": {"type": "string"}}}
    whole = shape.model_json_schema(mode="validation" if issubclass(shape, RequestBody) else "serialization")
    return {"application/json": {"schema": spelled_out(whole, whole.pop("$defs", {}))}}
