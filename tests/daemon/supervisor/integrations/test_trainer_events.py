"""What other programs get is what is documented."""

import json
from pathlib import Path

from daemon.supervisor.integrations.schemas import schemas
from daemon.supervisor.integrations.trainer_events import EVENTS, JobProgress, MetricsProgress, type_of

DOCS = Path(__file__).parents[4] / "docs/events"

# Model Trainer's own documentation shows these two.
PROGRESS = {
    "type": "trainer.job.progress.v1",
    "job_id": "gpt2-run-001",
    "user_id": 12345,
    "queue": "trainer",
    "progress": 66,
    "message": "Training epoch 2/3",
}
METRICS = {
    "type": "trainer.metrics.progress.v1",
    "job_id": "gpt2-run-001",
    "user_id": 12345,
    "epoch": 2,
    "total_epochs": 3,
    "loss": 3.45,
    "perplexity": 31.5,
    "samples_per_sec": 125.4,
}
# What its bots' decoder requires besides.
DECODED = {"step": 10, "train_loss": 3.45, "train_ppl": 31.5, "grad_norm": 0.1}


def test_the_schemas_in_the_documents_are_those_of_the_code() -> None:
    assert {file.name: file.read_text() for file in DOCS.iterdir()} == schemas()


def test_the_seven_types_are_the_documented_ones() -> None:
    assert {type_of(event) for event in EVENTS} == {
        *(f"trainer.job.{what}.v1" for what in ("started", "progress", "completed", "failed")),
        *(f"trainer.metrics.{what}.v1" for what in ("config", "progress", "completed")),
    }


def test_an_event_has_every_documented_field_and_an_id() -> None:
    told = json.loads(JobProgress.model_validate({"id": "7.0", "at": "now", **PROGRESS}).to_json())
    assert told == {"id": "7.0", "at": "now", "domain": "trainer", **PROGRESS}
    told = json.loads(MetricsProgress.model_validate({"id": "7.1", "at": "now", **METRICS, **DECODED}).to_json())
    assert told == {"id": "7.1", "at": "now", **METRICS, **DECODED}
