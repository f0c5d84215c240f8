"""A fine-tuning job as a job of thord's own: which files it learns, from which version, and with which settings."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from control.answers import Json
from control.job_answers import NewJob
from daemon.settings.sections import Tables
from daemon.workers.server.api.fine_tuning.labels import FACE, Labels
from daemon.workers.server.api.fine_tuning.schemas import DpoHyperparameters, FineTuningBody
from daemon.workers.server.errors import ApiError
from daemon.workers.server.files.stored_file import StoredFile
from engine.objectives import OBJECTIVES

_ROWS_AT_ONCE = 8
_OBJECTIVES = {"supervised": "language", "dpo": "dpo"}
_LONGEST_KEY = 255


@dataclass(frozen=True)
class TrainingFile:
    """A file to learn from, and where its bytes are."""

    file: StoredFile
    path: Path


def check_method(body: FineTuningBody) -> str:
    """The objective that the method stands for.

    Raises:
        ApiError: 400, there is none.
    """
    objective = _OBJECTIVES.get(body.kind)
    if objective is None:
        message = f"method.type: {body.kind} needs graders, and none run here; use supervised"
        raise ApiError(400, "unsupported_method", message, param="method.type")
    if objective not in OBJECTIVES:
        message = (
            f"method.type: {body.kind} needs an objective for preferences, and this thord has only "
            f"{', '.join(OBJECTIVES)}; use supervised"
        )
        raise ApiError(400, "unsupported_method", message, param="method.type")
    return objective


def check_integrations(body: FineTuningBody) -> None:
    """Figures go elsewhere for the whole service only, as its settings say.

    Raises:
        ApiError: 400, the job asks for an integration of its own.
    """
    for place, integration in enumerate(body.integrations or ()):
        message = (
            f"integrations.{place}: {integration.type[:40]!r} cannot be set for one job; "
            "[integrations.wandb] in thord.toml sets it for all of them"
        )
        raise ApiError(400, "unsupported_parameter", message, param=f"integrations.{place}")


def check_learnable(file: StoredFile, objective: str, param: str) -> None:
    """Whether there is something in a file that the objective learns.

    Raises:
        ApiError: 400, there is not, or the file is not for that.
    """
    if file.purpose != "fine-tune":
        message = f"{param}: {file.id} was uploaded for {file.purpose}; upload it with purpose fine-tune"
        raise ApiError(400, "invalid_file_purpose", message, param=param)
    if file.status != "processed":
        why = file.status_details or "it has not been checked yet; ask again in a moment"
        raise ApiError(400, f"invalid_{param}", f"{param}: {file.id}: {why}", param=param)
    found = file.samples or {}
    if not any(count and kind in OBJECTIVES[objective].learns for kind, count in found.items()):
        held = ", ".join(f"{count} of kind {kind}" for kind, count in found.items())
        message = f"{param}: {file.id} has nothing that this method learns: {held}"
        raise ApiError(400, f"invalid_{param}", message, param=param)


def overrides_of(body: FineTuningBody, objective: str, seed: int) -> dict[str, Json]:
    """The keys of ``[training]`` that a job changes.

    Raises:
        ApiError: 400, one of its hyperparameters has no such key.
    """
    chosen, found = body.chosen, dict[str, Json](seed=seed)
    if objective != "language":
        found["objective"] = objective
    if isinstance(chosen.n_epochs, int):
        found["epochs"] = float(chosen.n_epochs)
    if isinstance(chosen.batch_size, int):
        rows = chosen.batch_size
        at_once = next(size for size in range(min(rows, _ROWS_AT_ONCE), 0, -1) if rows % size == 0)
        found |= {"batch_size": at_once, "gradient_accumulation": rows // at_once}
    if isinstance(chosen.learning_rate_multiplier, float):
        found["learning_rate_multiplier"] = chosen.learning_rate_multiplier
    if isinstance(chosen, DpoHyperparameters) and isinstance(chosen.beta, float):
        message = "method.dpo.hyperparameters.beta: leave it out; the settings of thord say it"
        raise ApiError(400, "unsupported_parameter", message, param="method.dpo.hyperparameters.beta")
    return found


def job_of(
    body: FineTuningBody,
    training: TrainingFile,
    validation: TrainingFile | None,
    base: int | None,
    settings: Tables,
    owner: str,
    idempotency_key: str | None,
) -> NewJob:
    """The job to submit.

    Raises:
        ApiError: 400, it asks for what cannot be done.
    """
    objective = check_method(body)
    seed = settings.training.seed if body.seed is None else body.seed
    labels = Labels(
        face=FACE,
        model=body.model,
        training_file=training.file.id,
        validation_file=None if validation is None else validation.file.id,
        method="dpo" if objective == "dpo" else "supervised",
        hyperparameters={
            name: getattr(body.chosen, name, None) or "auto"
            for name in ("n_epochs", "batch_size", "learning_rate_multiplier")
        },
        seed=seed,
        metadata=body.metadata,
        samples=training.file.samples or {},
    )
    written: JsonValue = labels.model_dump(mode="json")
    job: NewJob = {
        "request": {
            "train_files": [str(training.path)],
            "validation_files": [] if validation is None else [str(validation.path)],
            "base": base,
            "held_out_share": None if body.promote == "gate" else 0.0,  # what nobody judges on is learned
            "overrides": overrides_of(body, objective, seed),
            "labels": written,
        },
        "promote": body.promote,
        "owner": owner,
    }
    if idempotency_key is not None:
        job["idempotency_key"] = _key(owner, idempotency_key)
    if (name := run_name(body.suffix)) is not None:
        job["run_id"] = name if idempotency_key is None else _longer(name, job["idempotency_key"])
    return job


def run_name(suffix: str | None) -> str | None:
    """The name of a run by the suffix that its client chose; null where that has nothing to make a name of."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", suffix or "").strip("-._")
    return plain or None


def another_name(name: str) -> str:
    """A name for a run where another one is called ``name``."""
    return _longer(name, secrets.token_hex(3))


def _longer(name: str, by: str) -> str:
    return f"{name}-{by[:6]}"


def _key(owner: str, given: str) -> str:
    """An idempotency key that no other client can hit."""
    if not 0 < len(given) <= _LONGEST_KEY:
        raise ApiError(400, "invalid_value", f"Idempotency-Key: it may have {_LONGEST_KEY} characters")
    return hashlib.sha256(f"{owner}\n{given}".encode("utf-8", "surrogateescape")).hexdigest()
