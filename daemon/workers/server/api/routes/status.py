"""``/v1/status``: what thord is doing, for callers who may be on another machine."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from control.answers import Json, Status
from daemon.workers.server.supervisor_port import SupervisorPort

_TOLD: dict[str, tuple[str, ...]] = {
    "service": (
        "state",
        "reasons",
        "uptime_seconds",
        "version",
        "quality",
        "next_cycle_at",
        "next_cycle_waits",
        "conversations",
    ),
    "host": ("at", "cpu_percent", "cores", "load", "memory", "disk", "gpus"),
    "paused": ("since",),
    "worker": ("state", "restarts", "uptime_seconds", "slowed_to"),
    "cycle": (
        *("id", "state", "attempt", "conversations", "replayed", "base_version", "version", "started_at", "ended_at"),
        "progress",
    ),
}
"""What is told of the service, and of each thing in its status. All else stays on this machine: paths, process numbers,
addresses, users, and texts from conversations."""


def router(supervisor: SupervisorPort) -> APIRouter:
    """Make the router with the route of this module."""
    routes = APIRouter(tags=["status"])

    @routes.get("/v1/status")
    async def status() -> JSONResponse:
        return JSONResponse(public(await supervisor.status()))

    return routes


def public(status: Status) -> dict[str, Json]:
    """The part of a status that may leave this machine, under the names that ``thorctl status --json`` gives it."""
    return {
        **(_told("service", status) or {}),
        **{name: _told(name, status.get(name)) for name in ("host", "paused", "cycle")},
        "workers": {name: _told("worker", worker) for name, worker in status["workers"].items()},
    }


def _told(of: str, value: object) -> dict[str, Json] | None:
    """The fields of ``value`` that `_TOLD` names; null where it is null."""
    if not isinstance(value, dict):
        return None
    told: dict[str, Json] = {name: value[name] for name in _TOLD[of] if name in value}
    return told
