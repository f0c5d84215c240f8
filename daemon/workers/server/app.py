"""The application: every route behind one front."""

from fastapi import FastAPI
from starlette.types import ASGIApp

from daemon.workers.server import (
    errors,
    routes_chat,
    routes_completions,
    routes_health,
    routes_models,
    routes_predict,
)
from daemon.workers.server.front import Front
from daemon.workers.server.service import Service


def make(service: Service) -> ASGIApp:
    """The ASGI application of one server."""
    app = FastAPI(
        title="thord",
        description="A language model that keeps learning. The API is OpenAI's, so their clients work unchanged.",
        redoc_url=None,
    )
    errors.install(app)
    for routes in (routes_models, routes_completions, routes_chat, routes_predict, routes_health):
        app.include_router(routes.router(service))
    return Front(app, service)
