"""``/v1/sessions``: the chats that the server remembers; each begins with the first chat that names it."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from daemon.workers.server.service import InferenceService


def router(service: InferenceService) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(prefix="/v1/sessions", tags=["sessions"])

    @routes.get("")
    async def sessions(http: Request) -> JSONResponse:
        return JSONResponse({"object": "list", "data": await service.sessions.list(http.state.owner)})

    @routes.get("/{name}")
    async def session(http: Request, name: str) -> JSONResponse:
        return JSONResponse(await service.sessions.describe(http.state.owner, name))

    @routes.delete("/{name}")
    async def delete(http: Request, name: str) -> JSONResponse:
        await service.sessions.delete(http.state.owner, name)
        return JSONResponse({"id": name, "object": "session", "deleted": True})

    return routes
