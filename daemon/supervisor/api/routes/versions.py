"""Versions: look, promote, roll back, evaluate."""

import asyncio
import datetime

from pydantic import Field, JsonValue
from starlette.responses import JSONResponse, Response

from control.paths import version_name
from daemon.clock import moment
from daemon.supervisor.api.operations import NUMBERS_END, Body, Call, Operation, check_files
from daemon.supervisor.api.permissions import Access
from daemon.supervisor.learning import versions as on_disk
from daemon.supervisor.store.records import Version


class PromoteBody(Body):
    """Whether to promote what the gate rejected."""

    force: bool = False


class EvaluateBody(Body):
    """What to judge (null: the version in service), and on which files (none: what its own cycle held out)."""

    version: int | None = Field(None, ge=0, lt=NUMBERS_END)
    files: tuple[str, ...] = ()


async def versions(call: Call) -> Response:
    """Lists the newest versions first."""
    return JSONResponse([_shown(call, version) for version in await call.context.learning.store.versions()])


async def version(call: Call) -> Response:
    """One, with settings and evaluation, and why its weights are kept."""
    learning = call.context.learning
    found = await learning.store.version(call.number("version"))
    more = await asyncio.to_thread(on_disk.details, learning.paths, found.number)
    disposition = await learning.retention.disposition(found.number)
    why, until = disposition or (None, None)
    date = None if until is None else datetime.datetime.fromtimestamp(until, datetime.UTC)
    kept: dict[str, JsonValue] = {"kept_because": why, "kept_until": moment(date)}
    return JSONResponse({**_shown(call, found), **more, **kept})


async def promote(call: Call) -> Response:
    """Returns when it serves."""
    number, body = call.number("version"), await call.body(PromoteBody)
    found = await call.context.learning.promotion.promote(number, by=call.by, force=body.force)
    return JSONResponse(_shown(call, found))


async def pin(call: Call) -> Response:
    """Its weights are kept until it is unpinned."""
    return JSONResponse(
        _shown(call, await call.context.learning.store.pin_version(call.number("version"), pinned=True))
    )


async def unpin(call: Call) -> Response:
    """Its weights are kept for as long as ``[retention]`` says."""
    return JSONResponse(
        _shown(call, await call.context.learning.store.pin_version(call.number("version"), pinned=False))
    )


async def fold(call: Call) -> Response:
    """Returns when the version that its adapter was merged into is published; it does not serve yet."""
    learning = call.context.learning
    found = await learning.imports.fold(call.number("version"))
    learning.retention.begin()
    return JSONResponse(_shown(call, found))


async def rollback(call: Call) -> Response:
    """Returns when the version before serves."""
    return JSONResponse(_shown(call, await call.context.learning.promotion.rollback(by=call.by)))


async def evaluate(call: Call) -> Response:
    """Returns when it is judged."""
    body = await call.body(EvaluateBody)
    check_files(body.files)
    judged = await call.context.learning.evaluations.judge(body.version, body.files)
    shown = judged.model_dump(mode="json", exclude={"kind", "to"})
    return JSONResponse({**shown, "version": version_name(judged.version)})


def _shown(call: Call, version: Version) -> dict[str, JsonValue]:
    promotion = call.context.learning.promotion
    return version.to_json(promotion.serving, promotion.resident, promotion.forms.get(version.number))


OPERATIONS = (
    Operation("GET", "/v1/versions", Access.READ, "Versions, newest first", versions),
    Operation("GET", "/v1/versions/{version}", Access.READ, "One version, with settings and evaluation", version),
    Operation("POST", "/v1/versions/{version}/promote", Access.ADMIN, "Put into service", promote, PromoteBody),
    Operation("POST", "/v1/versions/{version}/pin", Access.ADMIN, "Keep its weights", pin),
    Operation("POST", "/v1/versions/{version}/unpin", Access.ADMIN, "Keep its weights no longer than others'", unpin),
    Operation("POST", "/v1/versions/{version}/fold", Access.ADMIN, "Merge its adapter into its base", fold),
    Operation("POST", "/v1/rollback", Access.ADMIN, "Put the version before back into service", rollback),
    Operation("POST", "/v1/evaluations", Access.WORK, "Judge a version", evaluate, EvaluateBody),
)
