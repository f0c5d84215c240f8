"""What a host sent, checked and put in its place. Blocking; only for the current attempt."""

import re
import shutil
from collections.abc import Set
from pathlib import Path

from control.paths import Paths
from daemon.supervisor.remote.work import LOG, Delivery, FileOnDisk, Finished, incoming
from daemon.supervisor.store.job_records import Job
from engine import artifacts, disk
from engine.artifacts import ArtifactError
from engine.manifest import read_manifest

_CHECKPOINT = re.compile(r"checkpoints/([^/]+)/")


class BadDeliveryError(Exception):
    """What was sent is not what was said, or does not belong there."""


def place_run(paths: Paths, job: Job, delivery: Delivery) -> None:
    """Put files of a run where they belong, and remove the checkpoints that the host does not have any more.

    A checkpoint is complete or absent: its folder is renamed as a whole.

    Raises:
        BadDeliveryError: a file is not what its sum says, or not of this run.
    """
    staged, run = paths.state / incoming(job.id, delivery.attempt), paths.job_run(job.id)
    prefix = f"{run.relative_to(paths.state)}/"
    checkpoints: dict[str, list[Path]] = {}
    plain: list[tuple[Path, Path]] = []
    for file in delivery.files:
        source = _checked(staged, file)
        if file.path == LOG:
            _append(source, paths.job_log(job.id), job.log_offset)
            continue
        if not file.path.startswith(prefix):
            raise BadDeliveryError(f"{file.path} is not in the folder of the run")
        inside = file.path.removeprefix(prefix)
        if (found := _CHECKPOINT.match(inside)) and not (run / "checkpoints" / found[1]).exists():
            checkpoints.setdefault(found[1], []).append(source)
        else:
            plain.append((source, run / inside))
    for name, files in checkpoints.items():
        if name in delivery.checkpoints:
            (run / "checkpoints").mkdir(parents=True, exist_ok=True)
            for source in files:
                disk.sync(source)
            folder = staged / prefix / "checkpoints" / name
            for other in [file for file in folder.rglob("*") if file.is_file() and file not in files]:
                other.unlink()  # of an earlier try; nobody has checked it
            folder.rename(run / "checkpoints" / name)
    for source, target in plain:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
    for old in (run / "checkpoints").glob("*"):
        if old.name not in delivery.checkpoints and delivery.checkpoints:
            shutil.rmtree(old, ignore_errors=True)


def place_version(paths: Paths, job: Job, number: int, finished: Finished) -> None:
    """Publish the version that a host sent, unless it is there already.

    Raises:
        BadDeliveryError: a file is not what its sum says, or not of this version.
    """
    target = paths.version(number)
    if target.exists():
        return
    staged = paths.state / incoming(job.id, finished.attempt)
    prefix = f"{target.relative_to(paths.state)}/"
    for file in finished.files:
        if not file.path.startswith(prefix):
            raise BadDeliveryError(f"{file.path} is not in the folder of the version")
    sources = [(_checked(staged, file), file.path.removeprefix(prefix)) for file in finished.files]
    try:
        with artifacts.publishing(target) as draft:
            for source, name in sources:
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                source.replace(draft / name)
            found = read_manifest(draft)
            artifacts.check_files(draft, found.files)
            if found.version != number:
                raise BadDeliveryError(f"it is version {found.version}, and not {number}")
    except ArtifactError as error:
        raise BadDeliveryError(str(error)) from error


def forget(paths: Paths, job: int) -> None:
    """Remove what attempts at a job sent and nobody put in place."""
    for folder in (paths.state / incoming(job, 0)).parent.glob(f"{job:06d}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def forget_all_but(paths: Paths, attempts: Set[tuple[int, int]]) -> None:
    """Remove what was sent by all but these attempts, each a job and its number."""
    kept = {paths.state / incoming(job, attempt) for job, attempt in attempts}
    for folder in (paths.state / incoming(0, 0)).parent.glob("*-*"):
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)


def _checked(staged: Path, file: FileOnDisk) -> Path:
    source = staged / file.path
    if ".." in Path(file.path).parts or file.path.startswith("/") or "\0" in file.path:
        raise BadDeliveryError(f"{file.path!r} is not a path inside the state folder")
    try:
        size, sha256 = source.stat().st_size, artifacts.sha256_of(source)
    except OSError as error:
        raise BadDeliveryError(f"{file.path} did not arrive: {error.strerror}") from error
    if (size, sha256) != (file.size, file.sha256):
        raise BadDeliveryError(f"{file.path} arrived with {size} bytes and the SHA-256 {sha256}, not {file.sha256}")
    return source


def _append(source: Path, log: Path, offset: int) -> None:
    """Append what is new to the log of the job, whose part of this attempt begins at ``offset``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as written, source.open("rb") as read:
        read.seek(max(0, written.tell() - offset))
        shutil.copyfileobj(read, written)
