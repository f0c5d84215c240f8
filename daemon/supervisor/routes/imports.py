"""Taking over models from elsewhere."""

from starlette.responses import JSONResponse, Response

from daemon.supervisor.operations import Body, Call, Operation
from daemon.supervisor.permissions import Access
from daemon.supervisor.routes.cycles import check_files


class ImportBody(Body):
    """A folder in the layout of Hugging Face, by its absolute path."""

    folder: str


async def take(call: Call) -> Response:
    """Returns when it is published."""
    body = await call.body(ImportBody)
    check_files((body.folder,))
    learning = call.house.learning
    version = await learning.imports.take(body.folder)
    return JSONResponse(version.to_json(learning.promotion.serving, learning.promotion.resident))


OPERATIONS = (Operation("POST", "/v1/imports", Access.ADMIN, "Take over a Hugging Face model", take, ImportBody),)
