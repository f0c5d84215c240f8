"""What came in, and what was refused."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import Field
from starlette.responses import JSONResponse, Response

from daemon.supervisor.api.errors import ControlError
from daemon.supervisor.api.operations import Body, Call, Operation
from daemon.supervisor.api.permissions import Access
from daemon.supervisor.forgetting.forgetter import summary
from daemon.supervisor.intake.by_source import by_source
from daemon.supervisor.intake.quarantine import refusals
from daemon.supervisor.intake.set_aside import set_aside

T = TypeVar("T")


class RetryBody(Body):
    """What to take up again: what was set aside of one file, by its path or its name; null: all of it."""

    source: str | None = None


class ForgetBody(Body):
    """Samples to forget: by their IDs, those of one file, by its path or its name, those of one owner.

    An owner is the SHA-256 of an API key, in hexadecimal.

    With ``retrain`` the last version that did not learn them serves again, and what is left is learned once more.
    """

    ids: tuple[str, ...] = ()
    source: str | None = None
    owner: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    retrain: bool = False


class ScanBody(Body):
    """Files to tell about: what became of them. None: what this scan itself reads."""

    files: tuple[str, ...] = ()


async def data(call: Call) -> Response:
    """Counts the conversations in each state."""
    return JSONResponse(call.context.learning.observed.conversations())


async def sources(call: Call) -> Response:
    """Counts samples by format and by file."""
    return JSONResponse(await _from_ledger(call, by_source))


async def scan(call: Call) -> Response:
    """Returns when every watched folder was read through."""
    return await _scan(call, (await call.body(ScanBody)).files, retry_quarantine=False)


async def quarantine(call: Call) -> Response:
    """Lists the newest refusals first."""
    limit = call.limit()
    return JSONResponse(await _from_ledger(call, lambda ledger: refusals(ledger, limit)))


async def retry_quarantine(call: Call) -> Response:
    """Returns when every refused file was read again."""
    return await _scan(call, (), retry_quarantine=True)


async def aside(call: Call) -> Response:
    """Counts them by file and reason."""
    return JSONResponse(await _from_ledger(call, set_aside))


async def retry(call: Call) -> Response:
    """Returns when what was set aside is new again."""
    body = await call.body(RetryBody)
    taken = await call.context.learning.scans.retake(body.source)
    if body.source is not None and not taken:
        raise ControlError(404, "not_found", f"nothing of {body.source} is set aside; 'thorctl data' shows what is")
    return JSONResponse({"conversations": taken})


async def forget(call: Call) -> Response:
    """Returns when nothing of them is left, with what was done; it goes on if the caller leaves, and after a crash."""
    body = await call.body(ForgetBody)
    if not (body.ids or body.source or body.owner):
        raise ControlError(422, "bad_request", "name samples by ids, by source or by owner")
    done = await call.context.forgetter.forget(body.ids, body.source, body.owner, retrain=body.retrain, by=call.by)
    return JSONResponse(summary(done))


async def _from_ledger(call: Call, read: Callable[[Path], T]) -> T:
    """What is read from the intake's database, in a thread.

    Raises:
        ControlError: it cannot be read now.
    """
    try:
        return await asyncio.to_thread(read, call.context.learning.paths.ledger)
    except sqlite3.Error as error:
        raise ControlError(503, "store_unavailable", f"conversations.db: {error}") from error


async def _scan(call: Call, files: tuple[str, ...], *, retry_quarantine: bool) -> Response:
    found = await call.context.learning.scans.scan(retry_quarantine=retry_quarantine, files=files)
    return JSONResponse(found.model_dump(mode="json", exclude={"kind", "to"}))


OPERATIONS = (
    Operation("GET", "/v1/data", Access.READ, "Conversations in each state", data),
    Operation("GET", "/v1/data/sources", Access.READ, "Samples by format and by file", sources),
    Operation("GET", "/v1/data/set-aside", Access.READ, "What no cycle takes any more, and why", aside),
    Operation("POST", "/v1/data/retry", Access.ADMIN, "Take up what was set aside", retry, RetryBody),
    Operation("POST", "/v1/data/forget", Access.ADMIN, "Forget samples for good", forget, ForgetBody),
    Operation("POST", "/v1/scan", Access.ADMIN, "Look through the inbox now", scan, ScanBody),
    Operation("GET", "/v1/quarantine", Access.READ, "What was refused", quarantine, query={"limit": "how many"}),
    Operation("POST", "/v1/quarantine/retry", Access.ADMIN, "Read what was refused again", retry_quarantine),
)
