"""Reading request bodies: counted while they stream in, then checked against a schema; what is wrong is a 4xx."""

import asyncio
import re
from typing import TYPE_CHECKING, TypeVar

from fastapi import Request
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import ClientDisconnect

from daemon.workers.server.api.request_body import RequestBody
from daemon.workers.server.errors import ApiError

if TYPE_CHECKING:
    from _collections_abc import dict_items

B = TypeVar("B", bound=RequestBody)


async def read(request: Request, schema: type[B], limit: int, seconds: float = 60.0) -> B:
    """The body as ``schema``. Fields that mean nothing are named in ``request.state.ignored``.

    Raises:
        ApiError: 400 not JSON, not of this schema, or a field asks for what cannot be done; 408 it did not arrive
            within ``seconds``; 413 over ``limit`` bytes.
    """
    data = await _bytes(request, limit, seconds)
    try:
        body = schema.model_validate_json(data)
    except ValidationError as error:
        raise explained(error, schema) from None
    request.state.ignored = sorted({re.sub(r"\.\d+", "", place) for place in body.ignored()})
    return body


def described(schema: type[BaseModel]) -> dict[str, JsonValue]:
    """Describe a route's body by its schema, for the OpenAPI page."""
    return _Described(schema)


class _Described(dict[str, JsonValue]):
    """Worked out when the page is asked for: a server's start would be a tenth of a second longer."""

    def __init__(self, schema: type[BaseModel]) -> None:
        super().__init__()
        self._schema = schema

    def __bool__(self) -> bool:
        return True

    def items(self) -> "dict_items[str, JsonValue]":
        """As of any dictionary; FastAPI reads it so."""
        if not len(self):
            whole = self._schema.model_json_schema()
            content: JsonValue = {"application/json": {"schema": spelled_out(whole, whole.pop("$defs", {}))}}
            self["requestBody"] = {"required": True, "content": content}
        return super().items()


def spelled_out(part: JsonValue, definitions: dict[str, JsonValue]) -> JsonValue:
    """A schema without references: inside of an OpenAPI document they would lead nowhere."""
    if isinstance(part, list):
        return [spelled_out(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    name = part.get("$ref")
    if isinstance(name, str):
        return spelled_out(definitions[name.rpartition("/")[2]], definitions)
    return {key: spelled_out(each, definitions) for key, each in part.items()}


async def _bytes(request: Request, limit: int, seconds: float) -> bytes:
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated[:20]) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                parts.append(part)
    except TimeoutError:
        message = f"the request's body did not arrive within {seconds:g} seconds"
        raise ApiError(408, "body_timeout", message, close=True) from None
    except ClientDisconnect:
        raise ApiError(400, "disconnected", "the client went away in the middle of its request", close=True) from None
    return b"".join(parts)


def _too_large(limit: int) -> ApiError:
    message = f"the request's body is larger than {limit} bytes (api.max_body_megabytes)"
    return ApiError(413, "body_too_large", message, close=True)


def explained(error: ValidationError, schema: type[BaseModel]) -> ApiError:
    """The first of what is wrong, with the name of its field. What the client sent is not repeated."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return ApiError(400, "invalid_json", f"the body is not JSON: {found[0]['msg']}")
    fault = max((each for each in found if each["loc"][:1] == found[0]["loc"][:1]), key=_how_far)
    place = ".".join(str(step) for step in fault["loc"] if not _is_a_type(step))
    says = fault["msg"].removeprefix("Value error, ")
    message = f"{place}: {says}" if place else says
    if not place and (named := re.match(r"\w+", says)) and named[0] in schema.model_fields:
        place = named[0]  # what several fields say together is told by one of them
    return ApiError(400, "invalid_value", message, param=place or None)


def _how_far(fault: ErrorDetails) -> tuple[bool, list[int]]:
    """Of the forms that a field may have, the one that was meant is the one that fits furthest."""
    return fault["type"] == "too_long", [step for step in fault["loc"] if isinstance(step, int)]


def _is_a_type(step: int | str) -> bool:
    """Where a field may have several forms, pydantic names them too: ``prompt.list[str].3``."""
    return isinstance(step, str) and (step == "str" or "[" in step)
