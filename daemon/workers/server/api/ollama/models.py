"""What is said of models: ``/api/tags``, ``/api/ps``, ``/api/show``."""

from pydantic import JsonValue

from daemon.workers.server.service import MODEL, InferenceService
from engine.inference.versions.loaded_model import LoadedModel

_FOR_EVER = "9999-12-31T23:59:59Z"


def listed(service: InferenceService) -> list[JsonValue]:
    """Those that can be asked."""
    return [_described(name, model) for name, model in service.models().items()]


def running(service: InferenceService) -> list[JsonValue]:
    """Those in memory: the same, for no other can be asked."""
    more: dict[str, JsonValue] = {"expires_at": _FOR_EVER, "size_vram": 0}
    return [
        {**_described(name, model), **more, "context_length": model.context} for name, model in service.models().items()
    ]


def shown(service: InferenceService, name: str) -> dict[str, JsonValue]:
    """One of them.

    Raises:
        ApiError: 404, there is no such model.
    """
    model = service.model(name)
    family = model.manifest.family
    info: dict[str, JsonValue] = {
        "general.architecture": family,
        "general.parameter_count": model.manifest.parameters,
        f"{family}.context_length": model.context,
    }
    return {
        "modelfile": "",
        "parameters": "",
        "template": model.tokenizer.chat_template,
        "details": _details(model),
        "model_info": info,
        "capabilities": ["completion", "tools", "embedding"],
        "modified_at": model.manifest.created_at,
    }


def _described(name: str, model: LoadedModel) -> dict[str, JsonValue]:
    tagged = f"{name}:latest" if name == MODEL else name
    return {
        "name": tagged,
        "model": tagged,
        "modified_at": model.manifest.created_at,
        "size": model.own_bytes or model.manifest.parameters,
        "digest": model.manifest.sha256,
        "details": _details(model),
    }


def _details(model: LoadedModel) -> dict[str, JsonValue]:
    family = model.manifest.family
    return {
        "parent_model": "",
        "format": "safetensors",
        "family": family,
        "families": [family],
        "parameter_size": f"{model.manifest.parameters / 1e6:.1f}M",
        "quantization_level": "",
    }
