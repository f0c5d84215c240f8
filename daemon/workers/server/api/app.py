"""The application: every route behind the origin guard and the gatekeeper."""

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from daemon.workers.server import headers
from daemon.workers.server.access import paths
from daemon.workers.server.access.gatekeeper import PAGE, PAGE_SCRIPTS, Gatekeeper, check_scope
from daemon.workers.server.access.origin_guard import OriginGuard
from daemon.workers.server.api.anthropic import routes as anthropic
from daemon.workers.server.api.files import routes as files
from daemon.workers.server.api.fine_tuning import routes as fine_tuning
from daemon.workers.server.api.fine_tuning.jobs import FineTuningJobs
from daemon.workers.server.api.ollama import routes as ollama
from daemon.workers.server.api.responses import routes as responses
from daemon.workers.server.api.routes import (
    chat,
    completions,
    embeddings,
    feedback,
    health,
    models,
    predict,
    sessions,
    status,
    tokens,
)
from daemon.workers.server.api.routes import work as hosts
from daemon.workers.server.api.runs import chat as run_chat
from daemon.workers.server.api.runs import inference, logs, tokenizers, training
from daemon.workers.server.api.runs.runs import Runs
from daemon.workers.server.errors import ApiError
from daemon.workers.server.files.checker import FileChecker
from daemon.workers.server.service import InferenceService
from daemon.workers.server.supervisor_port import SupervisorPort
from daemon.workers.server.work_port import WorkPort

# Only so that /docs has a place to type a key into; the gatekeeper checks it, before any route is looked for.
_KEY = Depends(HTTPBearer(auto_error=False, description="One of the keys of `api.keys_file`, where it is set."))


def make(
    service: InferenceService,
    supervisor: SupervisorPort,
    uploads: FileChecker,
    tuning: FineTuningJobs,
    work: WorkPort,
    runs: Runs,
) -> ASGIApp:
    """The ASGI application of one server."""
    app = FastAPIOffline(
        title="thord",
        description="A language model that keeps learning. The API is OpenAI's, so their clients work unchanged.",
        docs_url=PAGE,
        redoc_url=None,
        static_url=PAGE_SCRIPTS,
    )
    _shape_errors(app)
    guarded = [_KEY, Depends(check_scope)]
    for routes in (
        models,
        completions,
        chat,
        responses,
        anthropic,
        ollama,
        sessions,
        feedback,
        embeddings,
        tokens,
        predict,
    ):
        app.include_router(routes.router(service), dependencies=guarded)
    app.include_router(status.router(supervisor), dependencies=guarded)
    app.include_router(hosts.router(work), dependencies=guarded)
    app.include_router(files.router(service, uploads, tuning.needing), dependencies=guarded)
    app.include_router(fine_tuning.router(service, uploads, tuning), dependencies=guarded)
    for routes_of_runs in (training, logs, inference, run_chat, tokenizers):
        app.include_router(routes_of_runs.router(runs), dependencies=guarded)
    app.include_router(health.router(service, supervisor))
    gatekeeper = Gatekeeper(app, service.access, service.metrics)
    origins = service.access.origins
    if not origins:
        return OriginGuard(gatekeeper, service.access, service.metrics)
    shared = CORSMiddleware(
        gatekeeper,
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=[headers.VERSION, headers.IGNORED_FIELDS, headers.REQUEST_ID, "retry-after", "location"],
    )
    return OriginGuard(shared, service.access, service.metrics)


def _shape_errors(app: FastAPI) -> None:
    """Give every error of this application the shape of `ApiError`."""

    @app.exception_handler(ApiError)
    async def refuse(request: Request, error: ApiError) -> JSONResponse:
        return error.response(request.url.path, headers.request_id(request))

    @app.exception_handler(RequestValidationError)
    async def refuse_parameter(request: Request, error: RequestValidationError) -> JSONResponse:
        """A part of the path, or of what follows the question mark, is not as it must be."""
        fault = error.errors()[0]
        name = ".".join(str(step) for step in fault["loc"][1:])
        found = ApiError(422, "invalid_value", f"{name}: {fault['msg']}", param=name)
        return found.response(request.url.path, headers.request_id(request))

    @app.exception_handler(Exception)  # the gatekeeper logs it
    async def fail(request: Request, error: Exception) -> JSONResponse:
        failure = ApiError(500, "internal_error", "the server failed; its log says why")
        return failure.response(request.url.path)

    @app.exception_handler(HTTPException)
    async def refuse_route(request: Request, error: HTTPException) -> JSONResponse:
        says = (paths.hint(request.url.path) if error.status_code == 404 else None) or error.detail
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
        found = ApiError(error.status_code, code, f"{request.method} {request.url.path}: {says}")
        found.headers.update(error.headers or {})
        return found.response(request.url.path, headers.request_id(request))
