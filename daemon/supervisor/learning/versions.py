"""Versions as they lie on disk: finding them, and telling all about one."""

import json
from pathlib import Path

from pydantic import JsonValue

from control.paths import Paths
from daemon import log
from daemon.clock import utc_now
from daemon.supervisor.store.records import Version
from daemon.supervisor.store.store import Store
from engine import artifacts
from engine.config import renamed
from engine.manifest import ADAPTER, WEIGHTS, VersionManifest, read_manifest

_logger = log.get(__name__)
_GONE = "they were already missing when thord recorded the version"


def highest(paths: Paths) -> int:
    """The highest number on disk, 0 where there is none."""
    return max(_numbers(paths), default=0)


async def adopt(store: Store, paths: Paths) -> None:
    """Record versions on disk that the store does not know: it was restored from a copy, or they were put there.

    The candidate of the cycle under way is left to its cycle, what a job has published to the job.
    """
    known = {version.number for version in await store.versions()}
    cycle = await store.unfinished_cycle()
    left_to_jobs = {job.version for job in await store.unfinished_jobs()}
    for number in _numbers(paths):
        if number in known or number in left_to_jobs or (cycle is not None and cycle.version == number):
            continue
        try:
            manifest = read_manifest(paths.version(number))
        except artifacts.ArtifactError as error:
            _logger.warning("a folder among the versions is not a version", reason=str(error))
            continue
        gone = {} if _has_weights(paths, number) else {"purged_at": utc_now(), "purged_why": _GONE}
        found = _described(manifest).model_copy(update={"number": number, "previous": manifest.parent, **gone})
        await store.adopt_version(found)


def published(paths: Paths, number: int) -> Version:
    """A version that a trainer has just published. Blocking.

    Raises:
        ArtifactError: its manifest cannot be read.
    """
    manifest = read_manifest(paths.version(number))
    return _described(manifest).model_copy(update={"created_at": utc_now()})


def _described(manifest: VersionManifest) -> Version:
    return Version(
        number=manifest.version,
        parent=manifest.parent,
        base=manifest.base.version if manifest.base else None,
        cycle=manifest.cycle,
        created_at=manifest.created_at,
        sha256=manifest.sha256,
        parameters=manifest.parameters,
        metrics=manifest.metrics,
    )


def _has_weights(paths: Paths, number: int) -> bool:
    return any((paths.version(number) / file).exists() for file in (WEIGHTS, ADAPTER))


def details(paths: Paths, number: int) -> dict[str, JsonValue]:
    """What the folder of a version says: its manifest's settings and figures, and its evaluation. Blocking."""
    folder = paths.version(number)
    told: dict[str, JsonValue] = {"folder": str(folder), "evaluation": _read_json(folder / "evaluation.json")}
    try:
        manifest = read_manifest(folder)
    except artifacts.ArtifactError as error:
        return {**told, "damaged": str(error)}
    shown = manifest.model_dump(mode="json", include={"family", "seed", "settings", "libraries", "training_seconds"})
    shown["settings"] = renamed.tables_with_new_names(manifest.settings)
    if manifest.base is not None:
        shown["base_sha256"] = manifest.base.sha256
    shown["bytes"] = sum(file.size for file in manifest.files.values())
    sums = {"tokenizer_sha256": manifest.tokenizer_sha256, "snapshot_sha256": manifest.snapshot_sha256}
    return {**told, **shown, **sums, "training_metrics": dict(manifest.metrics)}


def _read_json(file: Path) -> JsonValue:
    try:
        value: JsonValue = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value


def _numbers(paths: Paths) -> list[int]:
    if not paths.versions.is_dir():
        return []
    return sorted(int(folder.name) for folder in paths.versions.iterdir() if folder.name.isdecimal())
