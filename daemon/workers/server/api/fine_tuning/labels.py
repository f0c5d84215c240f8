"""What a fine-tuning job was asked for, in the words of its client: kept with the job, which does not read it."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from control.job_answers import Job

FACE: Literal["fine_tuning"] = "fine_tuning"
_ID = re.compile(r"ftjob-([1-9][0-9]{0,17})")


class Labels(BaseModel):
    """The labels of one job.

    Attributes:
        face: tells such jobs from those that were asked for in another way.
        hyperparameters: as they came, ``auto`` where nothing did.
        samples: what was found in the training file, by kind.
    """

    model_config = ConfigDict(frozen=True)

    face: Literal["fine_tuning"]
    model: str
    training_file: str
    validation_file: str | None
    method: Literal["supervised", "dpo"]
    hyperparameters: dict[str, str | int | float]
    seed: int
    metadata: dict[str, str] | None
    samples: dict[str, int]


def labels_of(job: Job) -> Labels | None:
    """The labels of a job; null for one that was not asked for by this API."""
    found: JsonValue = job["request"].get("labels")
    if not isinstance(found, dict) or found.get("face") != FACE:
        return None
    try:
        return Labels.model_validate(found)
    except ValidationError:
        return None


def job_id(number: int) -> str:
    """The name of a job here."""
    return f"ftjob-{number}"


def number_of(name: str) -> int | None:
    """The number of a job by its name; null: no job can be called so."""
    found = _ID.fullmatch(name)
    return int(found[1]) if found else None
