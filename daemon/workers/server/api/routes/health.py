"""``/healthz``, ``/readyz``, ``/version``, ``/metrics``: open to everybody who can connect.

``/health`` and ``/ping`` are what other servers call ``/healthz``.
"""

import importlib.metadata

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from control.paths import version_name
from daemon.workers.server.errors import ApiError
from daemon.workers.server.metrics import CONTENT_TYPE
from daemon.workers.server.service import InferenceService
from daemon.workers.server.supervisor_port import SupervisorPort


def router(service: InferenceService, supervisor: SupervisorPort) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz")
    @routes.get("/health")
    @routes.get("/ping")
    async def health() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @routes.get("/version")
    async def version() -> JSONResponse:
        return JSONResponse({"version": importlib.metadata.version("thord")})

    @routes.get("/readyz")
    async def ready() -> JSONResponse:
        serving = service.slots.serving
        if service.stopping.is_set():
            return JSONResponse({"status": "stopping", "reason": "the server is stopping"}, 503)
        if service.slots.replacing:
            return JSONResponse({"status": "swapping", "reason": service.unready}, 503)
        if serving is None:
            return JSONResponse({"status": "unready", "reason": service.unready}, 503)
        degraded = service.health is not None and service.health.state == "degraded"
        reasons = [*(service.health.reasons if service.health is not None and degraded else ())]
        reasons += await _troubles_of_jobs(supervisor)
        answer = {"status": "degraded" if degraded or reasons else "ready", "version": version_name(serving.version)}
        if answer["status"] == "ready":
            return JSONResponse({**answer, "reason": None})
        return JSONResponse({**answer, "reason": "; ".join(reasons), "reasons": reasons})  # answers go on

    @routes.get("/metrics")
    async def metrics() -> Response:
        serving = service.slots.serving
        service.metrics.serving.set(0 if serving is None else serving.version)
        service.metrics.cache_rows.set(0 if serving is None else serving.rows.count)
        service.metrics.degraded.set(service.health is not None and service.health.state == "degraded")
        weights, caches = service.slots.held_bytes
        service.metrics.weight_bytes.set(weights)
        service.metrics.cache_bytes.set(caches)
        service.metrics.resident.set(len(service.slots.addressable))
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    return routes


async def _troubles_of_jobs(supervisor: SupervisorPort) -> list[str]:
    """Why jobs are not carried out: their queue does not answer, or a worker that they need has given up."""
    try:
        workers = (await supervisor.status())["workers"]
    except ApiError:
        return ["queue-unavailable: the supervisor does not answer"]
    return [f"no-worker: {name} has failed" for name, worker in workers.items() if worker["state"] == "failed"]
