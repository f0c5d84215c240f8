"""The application: every route behind the origin guard and the gatekeeper."""

from fastapi import Depends
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from daemon.workers.server import errors
from daemon.workers.server.access.gatekeeper import PAGE, PAGE_SCRIPTS, Gatekeeper
from daemon.workers.server.access.origin_guard import OriginGuard
from daemon.workers.server.api.fields import IGNORED_HEADER
from daemon.workers.server.api.routes import (
    chat,
    completions,
    embeddings,
    feedback,
    health,
    models,
    predict,
    sessions,
    tokens,
)
from daemon.workers.server.api.streaming import VERSION_HEADER
from daemon.workers.server.service import Service

# Only so that /docs has a place to type a key into; the gatekeeper checks it, before any route is looked for.
_KEY = Depends(HTTPBearer(auto_error=False, description="One of the keys of `api.keys_file`, where it is set."))


def make(service: Service) -> ASGIApp:
    """The ASGI application of one server."""
    app = FastAPIOffline(
        title="thord",
        description="A language model that keeps learning. The API is OpenAI's, so their clients work unchanged.",
        docs_url=PAGE,
        redoc_url=None,
        static_url=PAGE_SCRIPTS,
    )
    errors.install(app)
    for routes in (models, completions, chat, sessions, feedback, embeddings, tokens, predict):
        app.include_router(routes.router(service), dependencies=[_KEY])
    app.include_router(health.router(service))
    gatekeeper = Gatekeeper(app, service)
    origins = service.settings.api.allow_origins
    if not origins:
        return OriginGuard(gatekeeper, service)
    shared = CORSMiddleware(
        gatekeeper,
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=[VERSION_HEADER, IGNORED_HEADER, "retry-after"],
    )
    return OriginGuard(shared, service)
