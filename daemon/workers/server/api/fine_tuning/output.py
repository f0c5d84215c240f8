"""A job of thord as a fine-tuning job of OpenAI's.

| thord's state   | status here                                                    |
| --------------- | -------------------------------------------------------------- |
| queued          | queued                                                         |
| waiting_retry   | queued                                                         |
| running         | running                                                        |
| cancelling      | running                                                        |
| completed       | succeeded, also where the gate keeps the result out of service |
| failed          | failed                                                         |
| cancelled       | cancelled                                                      |

No job is ever ``validating_files``: files are checked before a job is made of them.
"""

import re
import time
from collections.abc import Sequence

from pydantic import JsonValue

from control.job_answers import Job
from daemon import clock
from daemon.workers.server.api.fine_tuning.figures import StepFigures, last
from daemon.workers.server.api.fine_tuning.labels import Labels, job_id
from daemon.workers.server.files.stored_file import ID_PATTERN
from daemon.workers.server.service import MODEL

STATUS = {
    "queued": "queued",
    "waiting_retry": "queued",
    "running": "running",
    "cancelling": "running",
    "completed": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}
ORGANIZATION = "thord"
_UPLOADED = re.compile(rf"(?:/[^\s/:]+)+/({ID_PATTERN})/content")
_PATH = re.compile(r"(?<![\w.:/])(?:/[^\s/:]+)+/([^\s/:]+)")


def written(job: Job, labels: Labels, figures: Sequence[StepFigures], results: Sequence[str]) -> dict[str, JsonValue]:
    """A job as clients see it; ``results`` are the ids of its files of results."""
    status, ended = STATUS[job["state"]], job["ended_at"]
    hyperparameters: dict[str, JsonValue] = dict(labels.hyperparameters)
    found = last(figures)
    return {
        "id": job_id(job["id"]),
        "object": "fine_tuning.job",
        "created_at": clock.epoch(job["created_at"]),
        "finished_at": None if ended is None else clock.epoch(ended),
        "estimated_finish": _estimate(job),
        "status": status,
        "error": _error(job),
        "model": labels.model,
        "fine_tuned_model": model_of(job),
        "organization_id": ORGANIZATION,
        "training_file": labels.training_file,
        "validation_file": labels.validation_file,
        "result_files": [*results],
        "trained_tokens": found.tokens if found is not None and status == "succeeded" else None,
        "hyperparameters": hyperparameters,
        "method": {"type": labels.method, labels.method: {"hyperparameters": hyperparameters}},
        "seed": labels.seed,
        "integrations": [],
        "metadata": None if labels.metadata is None else {**labels.metadata},
        "run_id": job["run_id"],
    }


def model_of(job: Job) -> str | None:
    """The name by which the result can be asked, whatever serves; null until there is one."""
    return f"{MODEL}@{job['version']}" if job["state"] == "completed" and job["version"] is not None else None


def error_of(job: Job) -> str:
    """Why a job failed, without the places of this machine: a file is called as its owner knows it."""
    says = _UPLOADED.sub(r"\1", job["error"] or "the job failed")
    return _PATH.sub(r"\1", says)


def checkpoints(job: Job, figures: Sequence[StepFigures]) -> list[dict[str, JsonValue]]:
    """Those that can be asked: the result alone. Earlier ones are no versions."""
    model, found = model_of(job), last(figures)
    if model is None or job["ended_at"] is None:
        return []
    step = 0 if found is None else found.step
    metrics: dict[str, JsonValue] = {"step": step}
    if found is not None:
        metrics |= {"train_loss": found.train_loss, "valid_loss": found.valid_loss}
    return [
        {
            "id": f"ftckpt-{job['id']}-{step}",
            "object": "fine_tuning.job.checkpoint",
            "created_at": clock.epoch(job["ended_at"]),
            "fine_tuned_model_checkpoint": model,
            "fine_tuning_job_id": job_id(job["id"]),
            "metrics": metrics,
            "step_number": step,
        }
    ]


def _error(job: Job) -> JsonValue:
    if job["state"] != "failed":
        return None
    return {"code": "job_failed", "message": error_of(job), "param": None}


def _estimate(job: Job) -> int | None:
    left = (job["progress"] or {}).get("eta_seconds")
    return int(time.time() + left) if job["state"] == "running" and isinstance(left, int | float) else None
