"""``/healthz``, ``/readyz``, ``/version``, ``/metrics``: open to everybody who can connect.

``/health`` and ``/ping`` are what other servers call ``/healthz``.
"""

import importlib.metadata

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from control.paths import version_name
from daemon.workers.server.metrics import CONTENT_TYPE
from daemon.workers.server.service import InferenceService


def router(service: InferenceService) -> APIRouter:
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
        version = version_name(serving.version)
        if service.health is not None and service.health.state == "degraded":  # answers go on
            return JSONResponse({"status": "degraded", "version": version, "reasons": [*service.health.reasons]})
        return JSONResponse({"status": "ready", "version": version})

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
