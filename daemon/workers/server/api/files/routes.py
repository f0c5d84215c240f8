"""``/v1/files``: files that clients keep here, to fine-tune the model with them."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse
from pydantic import JsonValue

from daemon.workers.server.api.cursor_pages import Query, page
from daemon.workers.server.api.files.upload import receive
from daemon.workers.server.errors import ApiError
from daemon.workers.server.files.checker import FileChecker
from daemon.workers.server.files.stored_file import StoredFile
from daemon.workers.server.service import InferenceService

MOST_LISTED = 10_000
_FORM: dict[str, JsonValue] = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "purpose": {"type": "string", "enum": ["fine-tune", "user_data", "evals"]},
        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2_592_000},
    },
}
_BODY: dict[str, JsonValue] = {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}
InUse = Callable[[str, StoredFile], Awaitable[str | None]]
"""Given an owner and a file: the job that still needs it; null: none."""


def router(service: InferenceService, checker: FileChecker, in_use: InUse) -> APIRouter:
    """Make the router with the routes of this module."""
    store = checker.store
    routes = APIRouter(prefix="/v1/files", tags=["files"])

    @routes.post("", openapi_extra={"requestBody": _BODY})
    async def create(http: Request) -> JSONResponse:
        owner: str = http.state.owner
        file = await receive(http, store, owner, service.settings.api.request_timeout_seconds)
        if file.status == "uploaded":
            checker.check(owner, file)
        return JSONResponse(written(file))

    @routes.get("")
    async def files(http: Request) -> JSONResponse:
        query = Query(http)
        order, purpose = query.choice("order", ("asc", "desc"), "desc"), query.text("purpose")
        after, limit = query.text("after"), query.limit(MOST_LISTED, MOST_LISTED)
        found = [file for file in await store.all_of(http.state.owner) if purpose in {None, file.purpose}]
        if order == "desc":
            found.reverse()
        return JSONResponse(page(found, after, limit, lambda file: file.id, written))

    @routes.get("/{name}")
    async def file(http: Request, name: str) -> JSONResponse:
        return JSONResponse(written(await store.get(http.state.owner, name)))

    @routes.delete("/{name}")
    async def delete(http: Request, name: str) -> JSONResponse:
        owner: str = http.state.owner
        job = await in_use(owner, await store.get(owner, name))
        if job is not None:
            message = f"the job {job} still needs this file: cancel it, or wait for its end"
            raise ApiError(409, "file_in_use", message, param="id")
        await store.delete(owner, name)
        return JSONResponse({"id": name, "object": "file", "deleted": True})

    @routes.get("/{name}/content")
    async def content(http: Request, name: str) -> FileResponse:
        owner: str = http.state.owner
        found = await store.get(owner, name)
        return FileResponse(
            store.content(owner, name),
            media_type="application/octet-stream",
            filename=found.filename,
            headers={"x-content-type-options": "nosniff"},
        )

    return routes


def written(file: StoredFile) -> dict[str, JsonValue]:
    """A file as clients see it."""
    return {**file.model_dump(mode="json"), "object": "file"}
