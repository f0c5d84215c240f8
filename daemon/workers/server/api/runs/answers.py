"""What the routes of runs answer, made of jobs: the documented fields, and what thord says besides.

`daemon.job.DOCUMENTED` has the status of each state; a cancelled job is ``failed``, and its ``message`` begins with
"cancelled".
"""

import datetime
from typing import Literal

from pydantic import BaseModel, JsonValue

from control.job_answers import Job
from daemon.job import DOCUMENTED, DocumentedState, JobState


class ErrorAnswer(BaseModel):
    """Any error of these routes."""

    code: str
    message: str
    request_id: str


class RunQueued(BaseModel):
    """A run that was asked for."""

    run_id: str
    job_id: str
    status: DocumentedState


class RunAnswer(BaseModel):
    """How a run is."""

    run_id: str
    job_id: str
    status: DocumentedState
    last_heartbeat_ts: float | None
    message: str | None
    user_id: int | None
    queue: str
    attempt: int
    version: str | None
    progress: dict[str, JsonValue] | None
    result: dict[str, JsonValue] | None
    created_at: str
    started_at: str | None
    ended_at: str | None


class EvaluationAnswer(BaseModel):
    """An evaluation of a run's version."""

    run_id: str
    job_id: str
    split: str
    status: DocumentedState
    loss: float | None
    perplexity: float | None
    artifact_path: str | None
    message: str | None
    metrics: dict[str, JsonValue] | None


class ArtifactAnswer(BaseModel):
    """Where what a run made is: in the folder ``path`` of this machine, or a data bank's file."""

    storage: str
    file_id: str
    path: str | None
    version: str


class CancelAnswer(BaseModel):
    """A request to end was taken."""

    status: Literal["cancellation-requested"] = "cancellation-requested"


class GenerateAnswer(BaseModel):
    """Texts that a run's version generates."""

    request_id: str
    status: DocumentedState
    outputs: list[str] | None = None
    steps: int | None = None
    eos_terminated: list[bool] | None = None
    version: str | None = None
    message: str | None = None


class ScoreAnswer(BaseModel):
    """How well a run's version predicts a text: loss and surprisal in nats."""

    request_id: str
    status: DocumentedState
    loss: float | None = None
    perplexity: float | None = None
    surprisal: list[float] | None = None
    topk: list[list[dict[str, JsonValue]]] | None = None
    tokens: list[str] | None = None
    bits_per_byte: float | None = None
    version: str | None = None
    message: str | None = None


class ChatAnswer(BaseModel):
    """A turn of a chat with a run's version."""

    session_id: str
    request_id: str
    status: DocumentedState
    response: str | None = None
    version: str | None = None
    message: str | None = None


class ChatLine(BaseModel):
    """What somebody said."""

    role: str
    content: str


class ChatHistory(BaseModel):
    """All that was said in a chat."""

    session_id: str
    run_id: str
    messages: list[ChatLine]
    created_at: str


class DeletedAnswer(BaseModel):
    """A chat is gone."""

    status: Literal["deleted"] = "deleted"


class TokenizerAnswer(BaseModel):
    """How a tokenizer is."""

    tokenizer_id: str
    job_id: str
    status: DocumentedState
    artifact_path: str | None
    coverage: float | None
    oov_rate: float | None
    token_count: int | None
    char_coverage: float | None
    message: str | None


def status_of(job: Job) -> DocumentedState:
    """The documented status of a job."""
    return DOCUMENTED[JobState(job["state"])]


def message_of(job: Job) -> str | None:
    """What a person may want to know of a job's state."""
    match job["state"]:
        case "cancelled":
            said = job["error"] or ""
            return said if said.startswith("cancelled") else f"cancelled: {said}".removesuffix(": ")
        case "failed":
            return job["error"]
        case "waiting_retry":
            return f"tried again at {job['retry_at']}: {job['error'] or 'the last attempt failed'}"
        case "cancelling":
            return "it was asked to end"
        case "running":
            return _progress_of(job)
        case _:
            return None


def run_answer(job: Job) -> RunAnswer:
    """How a run is."""
    return RunAnswer(
        run_id=run_id_of(job),
        job_id=str(job["id"]),
        status=status_of(job),
        last_heartbeat_ts=_last_beat(job),
        message=message_of(job),
        user_id=job["user_id"],
        queue=job["queue"],
        attempt=job["attempt"],
        version=job["version"],
        progress=_plain(job["progress"]),
        result=_plain(job["result"]),
        created_at=job["created_at"],
        started_at=job["started_at"],
        ended_at=job["ended_at"],
    )


def evaluation_answer(run_id: str, job: Job) -> EvaluationAnswer:
    """An evaluation, whose figures are there once it is completed."""
    result = _plain(job["result"]) or {}
    path = result.get("artifact_path")
    return EvaluationAnswer(
        run_id=run_id,
        job_id=str(job["id"]),
        split=str(job["request"].get("split") or "validation"),
        status=status_of(job),
        loss=_number(result.get("loss")),
        perplexity=_number(result.get("perplexity")),
        artifact_path=path if isinstance(path, str) else None,
        message=message_of(job),
        metrics=result or None,
    )


def tokenizer_answer(job: Job, artifact_path: str) -> TokenizerAnswer:
    """How a tokenizer is, whose files are in ``artifact_path`` once it is completed."""
    result = job["result"] or {}
    count = result.get("token_count")
    return TokenizerAnswer(
        tokenizer_id=tokenizer_id_of(job),
        job_id=str(job["id"]),
        status=status_of(job),
        artifact_path=artifact_path,
        coverage=_number(result.get("coverage")),
        oov_rate=_number(result.get("oov_rate")),
        token_count=count if isinstance(count, int) else None,
        char_coverage=_number(result.get("char_coverage")),
        message=message_of(job),
    )


def asked_answer(job: Job) -> GenerateAnswer | ScoreAnswer | ChatAnswer:
    """What a job of a version was asked for, with its result once it is there."""
    about: dict[str, JsonValue] = {
        **(_plain(job["result"]) or {}),
        "request_id": request_id_of(job),
        "status": status_of(job),
        "message": message_of(job),
    }
    if job["kind"] == "generate":
        return GenerateAnswer.model_validate(about)
    if job["kind"] == "score":
        return ScoreAnswer.model_validate(about)
    return ChatAnswer.model_validate({**about, "session_id": session_id_of(job)})


def run_id_of(job: Job) -> str:
    """What a run is called: as its client said, else by its job's number."""
    return job["run_id"] or f"run-{job['id']:06d}"


def tokenizer_id_of(job: Job) -> str:
    """What a tokenizer is called: as its client said, else by its job's number."""
    return job["run_id"] or f"tokenizer-{job['id']:06d}"


def session_id_of(job: Job) -> str:
    """The chat that a job belongs to."""
    return str(job["request"].get("session_id") or "")


def request_id_of(job: Job) -> str:
    """What a request of a version is called."""
    return f"req-{job['id']:06d}"


def _progress_of(job: Job) -> str | None:
    progress = job["progress"]
    if job["kind"] != "train" or progress is None:
        return None
    epoch, epochs, step, steps = (progress.get(name) for name in ("epoch", "epochs", "step", "steps"))
    said = f"Training epoch {epoch}/{epochs}" if epoch is not None and epochs is not None else "Training"
    return said if step is None or steps is None else f"{said}, step {step}/{steps}"


def _last_beat(job: Job) -> float | None:
    attempts = job.get("attempts") or []
    return datetime.datetime.fromisoformat(attempts[-1]["last_beat_at"]).timestamp() if attempts else None


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _plain(value: "dict[str, JsonValue] | None") -> dict[str, JsonValue] | None:
    return value
