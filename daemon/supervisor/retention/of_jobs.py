"""What jobs leave behind besides versions: runs, snapshots, and tokenizers that others may use."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from control.paths import Paths, version_name
from daemon.job import JobKind, JobState
from daemon.settings.sections import Tables
from daemon.supervisor.retention import disk
from daemon.supervisor.retention.plan import Thing
from daemon.supervisor.retention.sized import moment, sized
from daemon.supervisor.store.job_records import Job

_DAY = 86_400
_NUMBER = re.compile(r"[0-9]{1,18}")


def artifact(job: Job) -> str:
    """The name of the folder with what a train job made."""
    return job.run_id or f"job-{job.id}"


def named_versions(jobs: Sequence[Job]) -> dict[int, str]:
    """Versions that jobs which have not ended publish, learn from, or are about."""
    found: dict[int, str] = {}
    for job in jobs:
        for named in (job.version, job.request.get("base"), job.request.get("version")):
            if isinstance(named, int) or (isinstance(named, str) and _NUMBER.fullmatch(named)):
                found[int(named)] = f"job {job.id} names it"
    return found


def things(paths: Paths, jobs: Sequence[Job], open_jobs: Collection[int], needed: Mapping[int, str]) -> Iterator[Thing]:
    """Runs, figures and snapshots of jobs that have ended, and of those whose row has expired.

    Args:
        paths: the places of this thord.
        jobs: those that have ended.
        open_jobs: those that have not.
        needed: versions that may not go.
    """
    by_number = {job.id: job for job in jobs}
    for number in disk.jobs(paths.runs):
        if number not in open_jobs:
            job = by_number.get(number)
            published = job is not None and job.state is JobState.COMPLETED
            at = job.ended_at if job else None
            yield sized(paths, "published run" if published else "run", number, at, name=_folder(number))
            yield sized(paths, "figures", number, at, name=_folder(number))
    for number in disk.jobs(paths.snapshots):
        if number not in open_jobs:
            job = by_number.get(number)
            why = needed.get(job.version or 0, "") if job else ""
            yield sized(
                paths,
                "snapshot",
                number,
                job.ended_at if job else None,
                f"its version is kept: {why}" if why else "",
                _folder(number),
            )


def tokenizers(
    paths: Paths, jobs: Sequence[Job], kept: Collection[int], unfinished: str, tables: Tables, now: float
) -> Iterator[Thing]:
    """Tokenizers that jobs trained. Last used is when the last job that names one ended.

    Args:
        paths: the places of this thord.
        jobs: those that have ended.
        kept: versions that have their weights.
        unfinished: what jobs and cycles under way ask for, as one text.
        tables: the settings.
        now: in seconds since 1970.
    """
    days = tables.retention.tokenizers.min_unused_days
    for name in disk.names(paths.artifacts / "tokenizers"):
        folder = paths.artifacts / "tokenizers" / name
        users = [job for job in jobs if job.request.get("tokenizer_id") == name]
        made = [job for job in jobs if job.kind is JobKind.TOKENIZER and job.run_id == name]
        since = max([folder.stat().st_mtime, *(moment(job.ended_at) for job in (*users, *made))])
        needed = ""
        if f'"{name}"' in unfinished:
            needed = "a job under way names it"
        elif version := next((job.version for job in users if job.version in kept), None):
            needed = f"version {version_name(version)} was trained with it"
        elif tables.tokenizer.folder is not None and Path(tables.tokenizer.folder).expanduser() == folder:
            needed = "tokenizer.folder names it"
        elif now - since <= days * _DAY:
            needed = f"it was used less than {days:g} days ago (retention.tokenizers.min_unused_days)"
        size = disk.size(disk.parts(paths, "tokenizer", 0, name))
        yield Thing("tokenizer", 0, size, since, needed, name)


def _folder(job: int) -> str:
    return f"job-{version_name(job)}"
