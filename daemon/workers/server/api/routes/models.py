"""``/v1/models``: the version that serves and those that may be asked for by number."""

from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import JsonValue

from control.paths import version_name
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import MODEL, InferenceService
from engine.inference.versions.loaded_model import LoadedModel


def router(service: InferenceService) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(prefix="/v1/models", tags=["models"])

    def known() -> dict[str, JsonValue]:
        models = {version: model for version in service.slots.addressable if (model := _get(service, version))}
        serving = service.slots.serving
        names = () if serving is None else (MODEL, *service.settings.api.aliases)
        described: dict[str, JsonValue] = {name: _described(name, serving) for name in names if serving is not None}
        for version, model in sorted(models.items(), reverse=True):
            name = f"{MODEL}@{version_name(version)}"
            described[name] = _described(name, model)
        return described

    @routes.get("")
    async def models() -> JSONResponse:
        return JSONResponse({"object": "list", "data": list(known().values())})

    @routes.get("/{name:path}")
    async def model(name: str) -> JSONResponse:
        pin = service.pin(name)
        serving = service.slots.serving
        found = serving if pin is None else _get(service, pin)
        if found is None:
            raise ApiError(404, "model_not_found", f"the model {name!r} is not in memory", param="model")
        return JSONResponse(_described(name, found))

    return routes


def _get(service: InferenceService, version: int) -> LoadedModel | None:
    try:
        return service.slots.get(version)
    except KeyError:  # it has just gone
        return None


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
