"""How failures look to a client of the control API. The table says which exception becomes which answer."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from daemon import log
from daemon.settings.load import SettingsError
from daemon.supervisor.forgetting.forgetter import ForgetRefusedError
from daemon.supervisor.intake.scans import ScanFailedError
from daemon.supervisor.jobs.requests import BadJobRequestError
from daemon.supervisor.learning.cycles import NotCancellableError
from daemon.supervisor.learning.evaluation.evaluations import EvaluationFailedError
from daemon.supervisor.learning.imports import FoldFailedError, ImportFailedError
from daemon.supervisor.learning.promotion import NotAllowedError, NotNowError, RefusedError
from daemon.supervisor.processes.ports import WorkerLostError, WorkerUnavailableError
from daemon.supervisor.store.errors import (
    IdempotencyConflictError,
    JobEndedError,
    NotClaimableError,
    RunExistsError,
    StaleAttemptError,
    TooManyJobsError,
)
from daemon.supervisor.store.store import CycleUnderWayError, NoSuchRecordError, PurgedError, StoreUnavailableError

_logger = log.get(__name__)


class ControlError(Exception):
    """A request that cannot be answered as asked."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


ANSWERS: dict[type[Exception], tuple[int, str]] = {
    NoSuchRecordError: (404, "not_found"),
    CycleUnderWayError: (409, "cycle_under_way"),
    NotCancellableError: (409, "not_cancellable"),
    NotAllowedError: (409, "not_allowed"),
    RefusedError: (409, "refused"),
    ForgetRefusedError: (404, "not_found"),
    PurgedError: (409, "purged"),
    RunExistsError: (409, "run_exists"),
    BadJobRequestError: (422, "bad_request"),
    JobEndedError: (409, "job_ended"),
    NotClaimableError: (409, "not_claimable"),
    StaleAttemptError: (409, "stale_attempt"),
    IdempotencyConflictError: (422, "idempotency_conflict"),
    SettingsError: (422, "bad_settings"),
    ImportFailedError: (409, "import_failed"),
    FoldFailedError: (409, "fold_failed"),
    EvaluationFailedError: (502, "evaluation_failed"),
    ScanFailedError: (502, "scan_failed"),
    WorkerLostError: (502, "worker_lost"),
    NotNowError: (503, "not_now"),
    TooManyJobsError: (503, "queue_full"),
    WorkerUnavailableError: (503, "worker_unavailable"),
    StoreUnavailableError: (503, "store_unavailable"),
}
"""Exception to HTTP status and code."""

KNOWN: tuple[type[Exception], ...] = (ControlError, *ANSWERS)
"""Every error that has an answer of its own."""

_CODES = {404: "not_found", 405: "method_not_allowed"}


def answer(request: Request, error: Exception) -> Response:
    """The answer to a request that failed."""
    more: dict[str, int] = {}
    headers: dict[str, str] = {}
    if isinstance(error, ControlError):
        status, code, message = error.status, error.code, str(error)
    elif isinstance(error, HTTPException):
        status, code = error.status_code, _CODES.get(error.status_code, "bad_request")
        message = f"{request.method} {request.url.path}: {error.detail}"
        headers.update(error.headers or {})
    else:
        status, code = ANSWERS.get(type(error), (500, "internal"))
        message = str(error) if type(error) in ANSWERS else "internal error; see the log: thorctl logs"
    if isinstance(error, CycleUnderWayError):
        more["cycle"] = error.cycle
    if status >= 500:
        _logger.error("request failed", path=request.url.path, code=code, error=repr(error), request_id=_id(request))
    body = {"error": {"code": code, "message": message, "request_id": _id(request), **more}}
    return JSONResponse(body, status, headers)


def _id(request: Request) -> str | None:
    given = getattr(request.state, "request_id", None)
    return given if isinstance(given, str) else None
