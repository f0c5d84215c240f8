"""The application: every route behind one front."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from daemon.workers.server import (
    errors,
    routes_chat,
    routes_completions,
    routes_embeddings,
    routes_feedback,
    routes_health,
    routes_models,
    routes_predict,
    routes_sessions,
    routes_tokens,
)
from daemon.workers.server.front import Front
from daemon.workers.server.service import Service
from daemon.workers.server.streaming import VERSION_HEADER


def make(service: Service) -> ASGIApp:
    """The ASGI application of one server."""
    app = FastAPI(
        title="thord",
        description="A language model that keeps learning. The API is OpenAI's, so their clients work unchanged.",
        redoc_url=None,
    )
    errors.install(app)
    for routes in (
        routes_models,
        routes_completions,
        routes_chat,
        routes_sessions,
        routes_feedback,
        routes_embeddings,
        routes_tokens,
        routes_predict,
        routes_health,
    ):
        app.include_router(routes.router(service))
    front = Front(app, service)
    origins = service.settings.api.allow_origins
    if not origins:
        return front
    return CORSMiddleware(
        front,
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=[VERSION_HEADER, "retry-after"],
    )
