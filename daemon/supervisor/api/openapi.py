"""The description of the control API, made from its table of operations."""

import re
from collections.abc import Sequence

from pydantic import JsonValue

from daemon.supervisor.api.operations import Operation

_ERROR: dict[str, JsonValue] = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "request_id": {"type": ["string", "null"]},
            },
        }
    },
}


def describe(operations: Sequence[Operation]) -> dict[str, JsonValue]:
    """Describe the operations as an OpenAPI 3.1 document."""
    paths: dict[str, JsonValue] = {}
    for path in dict.fromkeys(operation.path for operation in operations):
        paths[path] = {operation.method.lower(): _one(operation) for operation in operations if operation.path == path}
    return {
        "openapi": "3.1.0",
        "info": {"title": "thord control API", "version": "1", "description": "JSON over the socket control.sock."},
        "paths": paths,
    }


def _one(operation: Operation) -> dict[str, JsonValue]:
    in_path: list[JsonValue] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    in_query: list[JsonValue] = [
        {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
        for name, meaning in (operation.query or {}).items()
    ]
    told: dict[str, JsonValue] = {
        "operationId": operation.run.__name__ if hasattr(operation.run, "__name__") else operation.summary,
        "summary": operation.summary,
        "description": f"{operation.run.__doc__ or ''} Needs: {operation.needs}.".strip(),
        "parameters": [*in_path, *in_query],
        "responses": {
            "2XX": {"description": "Done", "content": {"application/json": {"schema": {}}}},
            "default": {"description": "What went wrong", "content": {"application/json": {"schema": _ERROR}}},
        },
    }
    if operation.body is not None:
        schema: JsonValue = operation.body.model_json_schema()
        told["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return told
