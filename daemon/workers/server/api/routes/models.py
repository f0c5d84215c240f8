"""``/v1/models``: the version that serves and those that may be asked for by number."""

from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import JsonValue

from control.paths import version_name
from daemon.workers.server.service import InferenceService
from engine.inference.versions.loaded_model import LoadedModel


def router(service: InferenceService) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(prefix="/v1/models", tags=["models"])

    @routes.get("")
    async def models() -> JSONResponse:
        described = [_described(name, model) for name, model in service.models().items()]
        return JSONResponse({"object": "list", "data": described})

    @routes.get("/{name:path}")
    async def model(name: str) -> JSONResponse:
        await service.prompt_spec(name)  # a version that is kept is loaded, to say what it can
        return JSONResponse(_described(name, service.model(name)))

    return routes


def _described(name: str, model: LoadedModel) -> dict[str, JsonValue]:
    manifest = model.manifest
    return {
        "id": name,
        "object": "model",
        "created": int(datetime.fromisoformat(manifest.created_at).timestamp()),
        "owned_by": "thord",
        "version": version_name(manifest.version),
        "context_length": model.context,
        "max_model_len": model.context,
        "parameters": manifest.parameters,
    }
