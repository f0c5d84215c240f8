"""What is kept and what is removed."""

from pydantic import JsonValue
from starlette.responses import JSONResponse, Response

from daemon.supervisor.api.operations import Call, Operation
from daemon.supervisor.api.permissions import Access
from daemon.supervisor.retention.plan import Plan, Thing


async def plan(call: Call) -> Response:
    """What a clean would remove now, and why everything else stays."""
    return JSONResponse({**_shown(await call.context.learning.retention.plan()), "failed": []})


async def clean(call: Call) -> Response:
    """Returns when it is removed, with what was."""
    done = await call.context.learning.retention.clean()
    return JSONResponse({**_shown(done.plan), "failed": list(done.complaints)})


def _shown(found: Plan) -> dict[str, JsonValue]:
    return {
        "bytes": found.bytes,
        "kept_bytes": sum(thing.bytes for thing, _ in found.kept),
        "removed": [_thing(thing, why) for thing, why in found.removed],
        "kept": [_thing(thing, why) for thing, why in found.kept],
    }


def _thing(thing: Thing, why: str) -> JsonValue:
    return {"kind": thing.kind, "number": thing.number, "name": thing.name, "bytes": thing.bytes, "why": why}


OPERATIONS = (
    Operation("GET", "/v1/retention", Access.READ, "What a clean would remove", plan),
    Operation("POST", "/v1/clean", Access.ADMIN, "Remove what nothing needs", clean),
)
