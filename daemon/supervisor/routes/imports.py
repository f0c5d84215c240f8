"""Taking over models from elsewhere, and checkpoints."""

from starlette.responses import JSONResponse, Response

from daemon.messages import Layout
from daemon.supervisor.operations import Body, Call, Operation, check_files
from daemon.supervisor.permissions import Access


class ImportBody(Body):
    """What to take over, by its absolute path: a folder of Hugging Face's, a GGUF file, or the checkpoint of a run."""

    folder: str
    layout: Layout = "hf"


async def take(call: Call) -> Response:
    """Returns when it is published."""
    body = await call.body(ImportBody)
    check_files((body.folder,))
    learning = call.house.learning
    version = await learning.imports.take(body.folder, body.layout)
    return JSONResponse(version.to_json(learning.promotion.serving, learning.promotion.resident))


OPERATIONS = (
    Operation(
        "POST",
        "/v1/imports",
        Access.ADMIN,
        "Take over a Hugging Face model, a GGUF file or a checkpoint",
        take,
        ImportBody,
    ),
)
