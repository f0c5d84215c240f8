"""``artifacts/models/RUN_ID/``: what a run made, in the layout that clients know. All of it blocks.

manifest.json         what was trained, and what came of it
model.safetensors …   the files of the version, linked
eval/metrics.json     what the newest evaluation measured
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from control.paths import Paths
from daemon.clock import utc_now
from daemon.supervisor.jobs.requests import TrainRequest, parsed
from daemon.supervisor.store.job_records import Job
from engine import disk
from engine.artifacts import MANIFEST
from engine.manifest import VersionManifest, read_manifest

_PRECISIONS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
METRICS = "eval/metrics.json"


def write(paths: Paths, job: Job, version: int) -> Path:
    """Write the artifact of a run, or write it again; its folder.

    Raises:
        ArtifactError: the version cannot be read.
        OSError: the disk refused.
    """
    made = read_manifest(paths.version(version))
    folder = paths.model_artifact(job.run_id or f"job-{job.id}")
    folder.mkdir(parents=True, exist_ok=True)
    for name in made.files:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(paths.version(version) / name)
    disk.write_json(folder / MANIFEST, _manifest(job, made, _read(paths.job_run(job.id) / "run.json")))
    return folder


def foreign_job(paths: Paths, job: Job) -> int | None:
    """The job that the artifact under this run's name belongs to, where it is another one."""
    found = _read(paths.model_artifact(job.run_id or "") / MANIFEST) if job.run_id else {}
    owner = found.get("job")
    return owner if isinstance(owner, int) and owner != job.id else None


def write_metrics(paths: Paths, run_id: str, metrics: Mapping[str, JsonValue]) -> Path | None:
    """Write down what an evaluation of a run measured, where the run has an artifact; the file.

    Raises:
        OSError: the disk refused.
    """
    folder = paths.model_artifact(run_id)
    if not folder.is_dir():
        return None
    (folder / METRICS).parent.mkdir(exist_ok=True)
    disk.write_json(folder / METRICS, dict(metrics))
    return folder / METRICS


def _manifest(job: Job, made: VersionManifest, record: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    training = made.settings.get("training")
    decided: Mapping[str, JsonValue] = training if isinstance(training, dict) else {}
    loss = made.metrics.get("final_loss")
    dtype = str(record.get("dtype"))
    return {
        "run_id": job.run_id,
        "job": job.id,
        "version": f"{made.version:06d}",
        "model_family": made.family,
        "tokenizer_id": parsed(TrainRequest, job.request).tokenizer_id or job.run_id,
        "epochs": decided.get("epochs"),
        "batch_size": decided.get("batch_size"),
        "learning_rate": decided.get("learning_rate"),
        "max_seq_len": decided.get("sequence_length"),
        "seed": made.seed,
        "device": record.get("device"),
        "precision": _PRECISIONS.get(dtype, dtype),
        "final_loss": loss,
        "final_perplexity": None if loss is None else math.exp(min(loss, 700.0)),
        "training_time_seconds": made.training_seconds,
        "created_at": job.created_at,
        "completed_at": utc_now(),
        "metrics": dict(made.metrics),
        "labels": job.request.get("labels"),
    }


def _read(file: Path) -> dict[str, JsonValue]:
    """A JSON object; empty where there is none, as ``run.json`` where another host has it."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
