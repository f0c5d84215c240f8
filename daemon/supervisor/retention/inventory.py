"""What is there and what needs it, from the store, the promotion and the disk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from control.paths import Paths, version_name
from daemon.job import JobKind, JobState
from daemon.settings.retention import RetentionSettings, UploadSettings
from daemon.settings.sections import Tables
from daemon.supervisor.retention import corpora, disk, of_jobs
from daemon.supervisor.retention.plan import Cache, Kind, Policy, Thing
from daemon.supervisor.retention.sized import sized
from daemon.supervisor.store.job_records import Job
from daemon.supervisor.store.records import Cycle, Version

_METRIC = "bits_per_byte"
_GIGABYTE = 10**9


@dataclass(frozen=True)
class Known:
    """What the supervisor knows at one moment.

    Attributes:
        versions: every one that still has its weights.
        published: cycles of which there is or was a version.
        cycles: by number, those that have ended.
        busy: versions that serve, are in memory, or take part in a swap or a cycle under way, with what they do.
        jobs: of kind train and tokenizer, that have ended.
        open_jobs: the numbers of those that have not.
        unfinished: what jobs and cycles that have not ended ask for, as one text, in which names are looked for.
        uploaded: by the name of a run, where its artifacts are, and since when that is sure.
    """

    versions: Sequence[Version]
    published: frozenset[int]
    cycles: Mapping[int, Cycle]
    busy: Mapping[int, str]
    serving: int | None
    jobs: Sequence[Job] = ()
    open_jobs: frozenset[int] = frozenset()
    unfinished: str = ""
    uploaded: Mapping[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def runs(self) -> dict[int, str]:
        """By version, the name of the run that made it, where a job did."""
        made = [job for job in self.jobs if job.kind is JobKind.TRAIN and job.state is JobState.COMPLETED]
        return {job.version: of_jobs.artifact(job) for job in made if job.version is not None}


def needed_versions(known: Known, rollbacks: int) -> dict[int, str]:
    """Versions that may never go, and what needs them. A version that no longer has weights needs nothing."""
    versions = {version.number: version for version in known.versions}
    needed: dict[int, str] = {}

    def need(number: int | None, why: str) -> None:
        if number in versions:
            needed.setdefault(number, why)

    for number, why in known.busy.items():
        need(number, why)
    back = known.serving
    for _ in range(rollbacks):
        back = versions[back].previous if back in versions else None
        need(back, "it served before: 'thorctl rollback' leads to it")
    for version in known.versions:
        if version.pinned:
            need(version.number, "it is pinned ('thorctl unpin' lets go of it)")
    need(max(versions, default=None), "it is the newest")
    fit = [version for version in known.versions if version.state == "available" and _METRIC in version.metrics]
    if fit:
        need(min(fit, key=lambda version: (version.metrics[_METRIC], version.number)).number, "it is the best so far")
    for number in list(needed):
        need(versions[number].parent, f"version {version_name(number)} was made from it")
    for version in sorted(known.versions, key=lambda version: version.number):
        need(version.base, f"version {version_name(version.number)} is an adapter for it")
    return needed


def things(paths: Paths, known: Known, tables: Tables, now: float) -> list[Thing]:
    """Everything that has a size on disk. Blocking."""
    return [thing for thing in _all(paths, known, tables, now) if thing.bytes]


def _all(paths: Paths, known: Known, tables: Tables, now: float) -> Iterator[Thing]:
    needed = needed_versions(known, tables.retention.keep_rollbacks)
    by_cycle = {version.cycle: needed[version.number] for version in known.versions if version.number in needed}
    for version in known.versions:
        yield _version(paths, version, known, needed.get(version.number, ""), tables.uploads, now)
    yield from of_jobs.things(paths, known.jobs, known.open_jobs, needed)
    if tables.retention.tokenizers.enabled:
        kept = {version.number for version in known.versions}
        yield from of_jobs.tokenizers(paths, known.jobs, kept, known.unfinished, tables, now)
    if tables.retention.corpora.enabled:
        yield from corpora.things(paths, known.unfinished, tables.retention.corpora.evict)
    for number in disk.numbers(paths.runs):
        if cycle := known.cycles.get(number):
            yield sized(paths, "published run" if number in known.published else "run", number, cycle.ended_at)
            yield sized(paths, "figures", number, cycle.ended_at)
    for number in disk.numbers(paths.snapshots):
        if cycle := known.cycles.get(number):
            why = f"its version is kept: {by_cycle[number]}" if number in by_cycle else ""
            yield sized(paths, "snapshot", number, cycle.ended_at, why)


def _version(paths: Paths, version: Version, known: Known, needed: str, uploads: UploadSettings, now: float) -> Thing:
    """A version; where the artifacts of a run hold it too, both together, since neither frees anything alone."""
    run = known.runs.get(version.number, "")
    if not run or not (paths.artifacts / "models" / run).is_dir():
        kind: Kind = "version" if version.state == "available" else "rejected"
        return sized(paths, kind, version.number, version.created_at, needed)
    where, since = known.uploaded.get(run, ("", 0.0))
    if uploads.to and not where:
        needed = needed or "it is not uploaded yet (uploads.to)"
    may_go = bool(where) and uploads.clean and not uploads.dry_run and now >= since + uploads.grace_seconds
    return sized(paths, "artifact", version.number, version.created_at, needed, run, where if may_go else "")


def policy(settings: RetentionSettings, *, keep_epochs: bool, room_bytes: int = 0) -> Policy:
    """The policy that the settings describe.

    Args:
        settings: ``[retention]``.
        keep_epochs: ``training.keep_epochs``; who sets it wants checkpoints also of runs whose version is published.
        room_bytes: so many more are to be free.
    """
    return Policy(
        keep={
            "artifact": settings.keep_artifacts,
            "tokenizer": 0,
            "version": settings.keep_versions,
            "rejected": settings.keep_rejected,
            "run": settings.keep_runs,
            "published run": settings.keep_runs if keep_epochs else 0,
            "snapshot": settings.keep_snapshots,
            "figures": settings.keep_figures,
        },
        setting={
            "artifact": "retention.keep_artifacts",
            "tokenizer": "retention.tokenizers",
            "corpus": "retention.corpora",
            "version": "retention.keep_versions",
            "rejected": "retention.keep_rejected",
            "run": "retention.keep_runs",
            "published run": "retention.keep_runs",
            "snapshot": "retention.keep_snapshots",
            "figures": "retention.keep_figures",
        },
        seconds=settings.keep_days * 86_400,
        max_bytes=None if settings.max_gigabytes is None else round(settings.max_gigabytes * _GIGABYTE),
        min_free_bytes=round(settings.min_free_gigabytes * _GIGABYTE) + room_bytes,
        cache=Cache(settings.corpora.max_bytes, settings.corpora.min_free_bytes) if settings.corpora.enabled else None,
    )
