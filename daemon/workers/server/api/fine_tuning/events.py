"""What happened to a job, told anew each time from its row, its attempts and its figures: nothing else is kept.

An event keeps its id as long as what it tells of is true: figures of steps that a crash undid are gone.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import JsonValue

from control.job_answers import Attempt, Job
from daemon import clock
from daemon.workers.server.api.fine_tuning.figures import StepFigures
from daemon.workers.server.api.fine_tuning.labels import Labels, job_id
from daemon.workers.server.api.fine_tuning.output import error_of, model_of
from engine.objectives import OBJECTIVES

Level = Literal["info", "warn", "error"]
Event = dict[str, JsonValue]
_OBJECTIVE = {"supervised": "language", "dpo": "dpo"}


def events(job: Job, labels: Labels, figures: Sequence[StepFigures]) -> list[Event]:
    """All events of a job, the newest first."""
    found = [
        *_begun(job, labels),
        *(event for attempt in job.get("attempts", []) for event in _of_attempt(job, attempt)),
        *(_of_step(job, one) for one in figures),
        *_ended(job),
    ]
    found.sort(key=lambda each: (each[0], each[1]))
    return [event for _, _, event in reversed(found)]


_Placed = tuple[int, int, Event]
"""When it was, and, within that second, its place among the others."""


def _begun(job: Job, labels: Labels) -> Iterator[_Placed]:
    at = clock.epoch(job["created_at"])
    yield at, 0, _message(job, "created", at, f"Created fine-tuning job: {job_id(job['id'])}")
    found = ", ".join(f"{count} of kind {kind}" for kind, count in sorted(labels.samples.items()))
    yield at, 1, _message(job, "validated", at, f"Training file {labels.training_file} validated: {found}")
    if labels.validation_file is not None and job["promote"] == "never":
        says = f"Nothing is measured on {labels.validation_file}: the gate judges on it, and promote is not gate"
        yield at, 2, _message(job, "unmeasured", at, says, "warn")
    learned = OBJECTIVES[_OBJECTIVE[labels.method]].learns
    for kind, count in sorted(labels.samples.items()):
        if kind not in learned:
            says = f"{count} samples of kind {kind} in the training file are not learned by method {labels.method}"
            yield at, 2, _message(job, f"held-{kind}", at, says, "warn")


def _of_attempt(job: Job, attempt: Attempt) -> Iterator[_Placed]:
    number, at = attempt["number"], clock.epoch(attempt["started_at"])
    yield at, 3, _message(job, f"attempt-{number}", at, f"Fine-tuning job started (attempt {number})")
    if attempt["ended_at"] is not None and attempt["cause"] not in {None, "completed"}:
        at = clock.epoch(attempt["ended_at"])
        yield at, 6, _message(job, f"attempt-{number}-end", at, f"Attempt {number} ended: {attempt['cause']}", "warn")


def _of_step(job: Job, one: StepFigures) -> _Placed:
    if one.trouble is not None:
        return one.at, 4, _message(job, f"trouble-{one.step}", one.at, f"Step {one.step}: {one.trouble}", "warn")
    losses = {"train_loss": one.train_loss, "valid_loss": one.valid_loss}
    said = {name: value for name, value in losses.items() if value is not None}
    steps = (job["progress"] or {}).get("steps")
    told = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in said.items())
    data: dict[str, JsonValue] = {"step": one.step, "total_steps": steps, **said, "learning_rate": one.learning_rate}
    kind = "valid" if one.valid_loss is not None else "train"
    of = f"{one.step}/{steps}" if isinstance(steps, int) else str(one.step)
    event = _event(job, f"{kind}-{one.step}", one.at, f"Step {of}: {told}", "info")
    return one.at, 4, {**event, "type": "metrics", "data": data}


def _ended(job: Job) -> Iterator[_Placed]:
    if job["ended_at"] is None:
        return
    at = clock.epoch(job["ended_at"])
    match job["state"]:
        case "completed":
            yield at, 7, _message(job, "model", at, f"New fine-tuned model created: {model_of(job)}")
            if (verdict := _verdict(job)) is not None:
                yield at, 8, _message(job, "verdict", at, *verdict)
            yield at, 9, _message(job, "succeeded", at, "The job has successfully completed")
        case "cancelled":
            yield at, 9, _message(job, "cancelled", at, "Fine-tuning job cancelled")
        case _:
            yield at, 9, _message(job, "failed", at, f"Fine-tuning job failed: {error_of(job)}", "error")


def _verdict(job: Job) -> tuple[str, Level] | None:
    """Whether the result went into service, where the job asked for that."""
    if job["promote"] == "never":
        return None
    result = job["result"] or {}
    if result.get("promoted") is True:
        return f"{model_of(job)} is in service: the gate found it better than the version before it", "info"
    why = result.get("reason")
    because = f": {why}" if isinstance(why, str) else ""
    return f"The gate keeps {model_of(job)} out of service{because}. It can still be asked by this name", "warn"


def _message(job: Job, name: str, at: int, says: str, level: Level = "info") -> Event:
    return {**_event(job, name, at, says, level), "type": "message", "data": None}


def _event(job: Job, name: str, at: int, says: str, level: Level) -> Event:
    return {
        "id": f"ftevent-{job['id']}-{name}",
        "object": "fine_tuning.job.event",
        "created_at": at,
        "level": level,
        "message": says,
    }
