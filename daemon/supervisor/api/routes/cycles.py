"""Cycles: start, look, follow, cancel."""

import asyncio
from collections.abc import Sequence

from pydantic import Field, JsonValue, ValidationError
from starlette.responses import JSONResponse, Response

from control.corpora import NAMED
from control.paths import version_name
from daemon import log
from daemon.clock import moment
from daemon.settings import faults
from daemon.supervisor.api import run_record, sample_answers
from daemon.supervisor.api.errors import ControlError
from daemon.supervisor.api.ndjson import NdjsonResponse
from daemon.supervisor.api.operations import NUMBERS_END, ApiContext, Body, Call, Operation, check_files
from daemon.supervisor.api.permissions import Access
from daemon.supervisor.learning import versions
from daemon.supervisor.learning.learning import Learning
from daemon.supervisor.store.records import CycleRequest
from engine.config import renamed
from engine.config.training import TrainingSettings

_logger = log.get(__name__)


class TrainBody(Body):
    """What to learn. All empty: what came in, by the settings.

    ``corpus`` may name ``enwik8``. With ``split`` the files are judged on parts of their own. ``base`` is the version
    to go on from, in place of the one that serves.
    """

    train_files: tuple[str, ...] = ()
    validation_files: tuple[str, ...] = ()
    corpus: tuple[str, ...] = ()
    split: bool = False
    base: int | None = Field(None, gt=0, lt=NUMBERS_END)
    overrides: dict[str, JsonValue] = Field(default_factory=dict)


async def train(call: Call) -> Response:
    """Queue a cycle; 409 with the number of the one under way."""
    body = await call.body(TrainBody)
    check_files((*body.train_files, *body.validation_files, *(name for name in body.corpus if name not in NAMED)))
    _check_corpora(body.corpus, call.context)
    overrides = _under_new_names(body.overrides)
    _check_overrides(call.context.service.tables.training, overrides)
    if body.base is not None:
        await _check_base(call.context.learning, body.base)
    request = CycleRequest(**{name: getattr(body, name) for name in TrainBody.model_fields} | {"overrides": overrides})
    cycle = await call.context.learning.cycles.trigger(f"manual by {call.by}", request)
    return JSONResponse(cycle.to_json(), 202)


async def cycles(call: Call) -> Response:
    """Lists the newest cycles first."""
    learning = call.context.learning
    return JSONResponse([learning.cycles.describe(cycle) for cycle in await learning.store.cycles(call.limit(50))])


async def cycle(call: Call) -> Response:
    """One, with the figures of its gate, how it trains, and what its version and the one before it answered."""
    learning = call.context.learning
    cycle = await learning.store.cycle(call.number("id"))
    answered = (
        await asyncio.to_thread(sample_answers.of_version, learning.paths, cycle.version) if cycle.version else []
    )
    decided = await asyncio.to_thread(run_record.of_cycle, learning.paths, cycle.id)
    epochs = await asyncio.to_thread(run_record.epochs_of_cycle, learning.paths, cycle.id)
    return JSONResponse({**learning.cycles.describe(cycle), "training": decided, "epochs": epochs, "samples": answered})


async def cancel(call: Call) -> Response:
    """Returns when it has ended, with when the next one is due: a whole interval later."""
    learning = call.context.learning
    cycle = await learning.cycles.cancel(call.number("id"), call.by)
    return JSONResponse({**cycle.to_json(), "next_cycle_at": moment(await learning.schedule.planned())})


async def pause(call: Call) -> Response:
    """Cycles start by hand only, until it is resumed. The one under way goes on."""
    pause = await call.context.learning.schedule.pause(call.by)
    return JSONResponse({"paused": pause.model_dump(mode="json"), "next_cycle_at": None})


async def resume(call: Call) -> Response:
    """What came due meanwhile starts now, once."""
    schedule = call.context.learning.schedule
    await schedule.resume(call.by)
    return JSONResponse({"paused": None, "next_cycle_at": moment(schedule.next_at)})


async def follow(call: Call) -> Response:
    """One JSON object a line: ``progress`` as it comes, at last ``cycle``."""
    number = call.number("id")
    await call.context.learning.store.cycle(number)  # 404 while that can still be said
    return NdjsonResponse(call.context.learning.cycles.follow(number))


async def _check_base(learning: Learning, base: int) -> None:
    """Say at once what the trainer would find, or the server once everything is learned.

    Raises:
        ControlError: its files are damaged, or its tokenizer is not the one in service.
        NoSuchRecordError: there is no such version.
    """
    await learning.store.whole_version(base)
    found = await asyncio.to_thread(versions.details, learning.paths, base)
    if "damaged" in found:
        raise ControlError(
            409, "damaged", f"version {version_name(base)} cannot be trained further: {found['damaged']}"
        )
    serving = learning.promotion.serving
    if serving is None:
        return
    served = await asyncio.to_thread(versions.details, learning.paths, serving)
    if found["tokenizer_sha256"] != served.get("tokenizer_sha256"):
        why = f"version {version_name(base)} has a different tokenizer than the version in service"
        raise ControlError(409, "foreign_tokenizer", why)


def _check_corpora(names: Sequence[str], context: ApiContext) -> None:
    """Say at once what the intake would find: a corpus known by name that is neither here nor to be fetched."""
    address, folder = context.service.tables.data.enwik8_address, context.learning.paths.corpora
    missing = [name for name in NAMED if name in names and not address and not (folder / name).exists()]
    if missing:
        what = f"to learn from {missing[0]}, set data.{missing[0]}_address to its http or https URL"
        raise ControlError(422, "bad_settings", what)


def _under_new_names(overrides: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Keys of ``[training]`` under their new names; an old one is logged as a warning.

    Raises:
        ControlError: a setting is given under both its names.
    """
    for key in overrides:
        if f"training.{key}" in renamed.RENAMED:
            _logger.warning(renamed.warning(f"training.{key}"))
    try:
        return renamed.with_new_names("training", overrides)
    except ValueError as error:
        raise ControlError(422, "bad_settings", str(error)) from None


def _check_overrides(training: TrainingSettings, overrides: dict[str, JsonValue]) -> None:
    try:
        TrainingSettings.model_validate({**training.model_dump(), **overrides})
    except ValidationError as error:
        raise ControlError(422, "bad_settings", faults.of_training(error)) from None


OPERATIONS = (
    Operation("POST", "/v1/cycles", Access.WORK, "Start a cycle now", train, TrainBody),
    Operation("GET", "/v1/cycles", Access.READ, "Cycles, newest first", cycles, query={"limit": "how many"}),
    Operation("GET", "/v1/cycles/{id}", Access.READ, "One cycle, with its gate", cycle),
    Operation("POST", "/v1/cycles/{id}/cancel", Access.ADMIN, "End a cycle before its time", cancel),
    Operation("POST", "/v1/pause", Access.ADMIN, "Start no cycle by itself", pause),
    Operation("POST", "/v1/resume", Access.ADMIN, "Start cycles by itself again", resume),
    Operation("GET", "/v1/cycles/{id}/follow", Access.READ, "Progress of a cycle, to its end", follow),
)
