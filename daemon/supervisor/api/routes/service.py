"""The service as a whole, and its workers."""

import asyncio
from typing import get_args

from pydantic import JsonValue
from starlette.responses import JSONResponse, Response

from control.paths import version_name
from daemon.clock import moment
from daemon.messages import WorkerName
from daemon.supervisor.api.errors import ControlError
from daemon.supervisor.api.operations import Body, Call, Operation
from daemon.supervisor.api.permissions import Access
from daemon.supervisor.learning.learning import Learning
from daemon.supervisor.store.job_records import Job
from daemon.supervisor.store.records import in_words, name_or_null
from daemon.supervisor.store.store import NoSuchRecordError, StoreUnavailableError

_QUALITY_SECONDS = 0.2
WORKER_NAMES: tuple[WorkerName, ...] = get_args(WorkerName)


class StopBody(Body):
    """How thord shall stop."""

    now: bool = False


async def status(call: Call) -> Response:
    """From memory, but for what is soon read or left out, so that it answers while workers and disks are busy."""
    learning = call.context.learning
    cycle, schedule = learning.cycles.current, learning.schedule
    shown: dict[str, JsonValue] = {
        **call.context.service.status(),
        "version": name_or_null(learning.promotion.serving),
        "quality": await _quality(learning),
        "resident": [version_name(number) for number in learning.promotion.resident],
        "cycle": None if cycle is None else learning.cycles.describe(cycle),
        "jobs": [_job(learning, lane.current) for lane in learning.lanes if lane.current is not None],
        "next_cycle_at": None if schedule.waits else moment(schedule.next_at),
        "next_cycle_waits": schedule.waits,
        "paused": None if schedule.paused is None else schedule.paused.model_dump(mode="json"),
        "conversations": learning.observed.conversations(),
        "anchor": learning.anchor_test.to_json(),
        "unwatched": dict(learning.observed.unwatched),
        "host": learning.observed.host,
    }
    return JSONResponse(shown)


def _job(learning: Learning, job: Job) -> dict[str, JsonValue]:
    shown = learning.jobs.describe(job)
    return {name: shown[name] for name in ("id", "kind", "run_id", "progress")}


async def _quality(learning: Learning) -> JsonValue:
    """How good the version in service is; null where the store does not say so at once."""
    serving = learning.promotion.serving
    if serving is None:
        return None
    try:
        async with asyncio.timeout(_QUALITY_SECONDS):
            version = await learning.store.version(serving)
    except (TimeoutError, NoSuchRecordError, StoreUnavailableError):
        return None
    return in_words(version.metrics, first=version.parent is None)


async def health(call: Call) -> Response:
    """200 while everything is well, 503 otherwise; the body says why."""
    known = call.context.service.status()
    shown = {name: known.get(name) for name in ("state", "reasons")}
    return JSONResponse(shown, 200 if known.get("state") == "ready" else 503)


async def configuration(call: Call) -> Response:
    """The settings it runs with, and where each came from."""
    return JSONResponse(call.context.service.configuration())


async def stop(call: Call) -> Response:
    """Answers first, then the service stops."""
    call.context.service.request_stop(now=(await call.body(StopBody)).now)
    return JSONResponse({"state": "stopping"}, 202)


async def reload(call: Call) -> Response:
    """Apply what can change live."""
    changes = await call.context.service.reload()
    await call.context.learning.schedule.plan()
    for lane in call.context.learning.lanes:
        lane.wake()
    return JSONResponse(
        {
            "applied": list(changes.applied),
            "needs_restart": list(changes.needs_restart),
            "remedy": changes.needs_restart,
            "warnings": list(changes.warnings),
            "notes": list(changes.notes),
        }
    )


async def start_worker(call: Call) -> Response:
    """Returns when it is ready."""
    name = _worker(call)
    await call.context.service.start_worker(name)
    return _state_of(call, name)


async def stop_worker(call: Call) -> Response:
    """Returns when it is gone."""
    name = _worker(call)
    await call.context.service.stop_worker(name)
    return _state_of(call, name)


async def restart_worker(call: Call) -> Response:
    """Returns when it is ready again."""
    name = _worker(call)
    await call.context.service.restart_worker(name)
    return _state_of(call, name)


def _worker(call: Call) -> WorkerName:
    for name in WORKER_NAMES:
        if name == call.request.path_params["name"]:
            return name
    raise ControlError(404, "not_found", f"there is no such worker; the workers are {', '.join(WORKER_NAMES)}")


def _state_of(call: Call, name: WorkerName) -> Response:
    workers = call.context.service.status().get("workers")
    shown = workers.get(name) if isinstance(workers, dict) else None
    return JSONResponse({"worker": name, **(shown if isinstance(shown, dict) else {})})


OPERATIONS = (
    Operation("GET", "/v1/status", Access.READ, "What thord is doing", status),
    Operation("GET", "/v1/health", Access.READ, "Whether all is well", health),
    Operation("GET", "/v1/config", Access.READ, "The resolved settings", configuration),
    Operation("POST", "/v1/stop", Access.ADMIN, "Stop the service", stop, StopBody),
    Operation("POST", "/v1/reload", Access.ADMIN, "Read the settings again", reload),
    Operation("POST", "/v1/workers/{name}/start", Access.ADMIN, "Start a worker", start_worker),
    Operation("POST", "/v1/workers/{name}/stop", Access.ADMIN, "Stop a worker", stop_worker),
    Operation("POST", "/v1/workers/{name}/restart", Access.ADMIN, "Restart a worker", restart_worker),
)
