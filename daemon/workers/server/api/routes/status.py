"""``/v1/status``: what thord is doing, for callers who may be on another machine."""

import json
from collections.abc import Mapping

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from control.answers import Json, Status
from daemon.workers.server.supervisor import Supervisor

_SERVICE = (
    "state", "reasons", "uptime_seconds", "version", "quality", "next_cycle_at", "next_cycle_waits", "conversations",
    "host",
)  # fmt: skip
_PAUSED = ("since",)
_WORKER = ("state", "restarts", "uptime_seconds", "slowed_to")
_CYCLE = (
    "id", "state", "attempt", "conversations", "replayed", "base_version", "version", "started_at", "ended_at",
    "progress",
)  # fmt: skip
"""What is told. All else stays on this machine: paths, pids, addresses, users, and texts from conversations."""


def router(supervisor: Supervisor) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["status"])

    @routes.get("/v1/status")
    async def status() -> JSONResponse:
        return JSONResponse(public(await supervisor.status()))

    return routes


def public(status: Status) -> dict[str, Json]:
    """The part of a status that may leave this machine, under the names that ``thorctl status --json`` gives it."""
    paused, cycle = status.get("paused"), status["cycle"]
    return {
        **_of(status, _SERVICE),
        "paused": _of(paused, _PAUSED) if paused else None,
        "workers": {name: _of(worker, _WORKER) for name, worker in status["workers"].items()},
        "cycle": _of(cycle, _CYCLE) if cycle else None,
    }


def _of(value: Mapping[str, object], names: tuple[str, ...]) -> dict[str, Json]:
    """Those of these fields that are there."""
    plain: dict[str, Json] = json.loads(json.dumps({name: value[name] for name in names if name in value}))
    return plain
