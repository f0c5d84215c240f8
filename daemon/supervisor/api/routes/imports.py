"""Taking over models from elsewhere, and checkpoints."""

from pydantic import Field, JsonValue
from starlette.responses import JSONResponse, Response

from daemon.messages import Layout
from daemon.supervisor.api.errors import ControlError
from daemon.supervisor.api.operations import Body, Call, Operation, check_files
from daemon.supervisor.api.permissions import Access
from engine import generation


class ImportBody(Body):
    """What to take over, by its absolute path: a model's or an adapter's folder, a GGUF file, a checkpoint."""

    folder: str
    layout: Layout = "hf"
    generation: dict[str, JsonValue] = Field(default_factory=dict)
    """Keys of ``generation_config.json`` that count in place of the model's own."""


async def take(call: Call) -> Response:
    """Returns when it is published."""
    body = await call.body(ImportBody)
    check_files((body.folder,))
    learning = call.context.learning
    try:
        generation.parsed(body.generation)
    except generation.BadGenerationError as error:
        raise ControlError(400, "bad_request", str(error)) from None
    version = await learning.imports.take(body.folder, body.layout, body.generation)
    learning.retention.begin()
    return JSONResponse(version.to_json(learning.promotion.serving, learning.promotion.resident))


OPERATIONS = (
    Operation(
        "POST",
        "/v1/imports",
        Access.ADMIN,
        "Take over a Hugging Face model, a GGUF file, a PEFT adapter or a checkpoint",
        take,
        ImportBody,
    ),
)
