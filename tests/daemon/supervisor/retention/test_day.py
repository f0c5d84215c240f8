"""A day of cycles and jobs, with uploads and caches: the disk stays under its bound, and whatever is needed stays."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from control.paths import Paths, at_home
from daemon.job import JobEvent, JobKind
from daemon.settings.retention import RetentionSettings, UploadSettings
from daemon.settings.sections import Tables
from daemon.supervisor import home
from daemon.supervisor.learning.learning import Learning
from daemon.supervisor.retention import disk, uploader
from daemon.supervisor.store.attempt_store import AttemptEnd
from daemon.supervisor.store.job_records import Job, NewJob
from daemon.supervisor.store.records import Version
from daemon.uploads.__main__ import carry_out
from daemon.uploads.order import Done, Order
from tests.daemon.supervisor.retention.test_retention import BLOCK, fill, one_cycle
from tests.daemon.supervisor.stand_ins import Script, StandIns, learning, publish, tables

CYCLES = 48
RETENTION = {"keep_versions": 2, "keep_snapshots": 2, "keep_figures": 3, "keep_runs": 0, "keep_artifacts": 3}


def settings(uploads: UploadSettings | None = None, **given: object) -> Tables:
    retention = RetentionSettings.model_validate(RETENTION | given)
    return tables(minimum=1).model_copy(update={"retention": retention, "uploads": uploads or UploadSettings()})


def a_home(folder: Path) -> Paths:
    paths = at_home(folder / "home")
    home.prepare(paths)
    return paths


async def train_job(it: Learning, run: str, tokenizer: str | None = None) -> Job:
    """A train job as it is when it has ended: run, snapshot, version, artifacts."""
    request = {"tokenizer_id": tokenizer} if tokenizer else {}
    asked = NewJob.model_validate(
        {"kind": "train", "run_id": run, "request": request, "owner": "uid 1", "retries": 0}
        | {"retry_interval_seconds": 1, "time_limit_seconds": 60}
    )
    job, _ = await it.store.add_job(asked)
    highest = max(disk.numbers(it.paths.versions), default=0)
    _, attempt = await it.store.start_attempt(job.id, host="h", worker="trainer", pid=1)
    job = await it.store.assign_version(job.id, highest)
    assert job.version is not None
    manifest = publish(it.paths, job.version, cycle=None)
    for folder in (it.paths.runs / f"job-{job.id:06d}/checkpoints", it.paths.snapshots / f"job-{job.id:06d}"):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * BLOCK)
    artifact = it.paths.artifacts / "models" / run
    (artifact / "eval").mkdir(parents=True)
    (artifact / "eval/metrics.json").write_text("{}")
    (artifact / "manifest.json").write_text("{}")
    (artifact / "model.safetensors").symlink_to(it.paths.version(job.version) / "model.safetensors")
    version = Version(number=job.version, created_at=manifest.created_at, sha256="ab", parameters=1)
    end = AttemptEnd(JobEvent.COMPLETE, "completed")
    return await it.store.end_attempt(job.id, attempt.number, end, candidate=version)


def used(it: Learning) -> int:
    paths = it.paths
    places = (paths.models, paths.runs, paths.snapshots, paths.tensorboard, paths.artifacts, paths.corpora)
    return disk.size(list(places))


async def in_this_process(order: Order) -> Done:
    return await asyncio.to_thread(carry_out, order)


@pytest.mark.anyio
async def test_a_day_of_cycles_and_jobs_stays_under_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploader, "_in_a_process", in_this_process)
    archive = tmp_path / "archive"
    archive.mkdir()
    workers = StandIns(a_home(tmp_path), Script(verdicts=[number % 3 != 0 for number in range(CYCLES)]))
    bounds = {"enabled": True, "max_bytes": 4 * BLOCK, "min_free_bytes": 0}
    chosen = settings(UploadSettings(to=(str(archive),)), enabled=False, corpora=bounds)
    sizes = []
    async with learning(workers, chosen) as it:
        it.paths.corpora.mkdir(exist_ok=True)
        for hour in range(CYCLES // 2):
            await one_cycle(it, workers)
            await one_cycle(it, workers)
            job = await train_job(it, f"run-{hour:03d}")
            (it.paths.corpora / f"book-{hour}").write_bytes(b"x" * BLOCK)
            await it.uploader.upload_pending()
            planned = await it.retention.plan()
            done = await it.retention.clean()
            assert done.plan == planned
            assert done.complaints == ()
            sizes.append(used(it))
            serving = it.promotion.serving
            assert serving is not None
            for number in (serving, job.version or 0):
                assert (it.paths.version(number) / "model.safetensors").exists()
        assert max(sizes[16:]) <= max(sizes[8:16]) + CYCLES * 4 * 4096, "records are all that grows"
        assert len(list(archive.glob("run-*/model.safetensors"))) == CYCLES // 2
        assert len(disk.names(it.paths.corpora)) == 4
        for hour in range(CYCLES // 2 - 1):
            folder = it.paths.artifacts / "models" / f"run-{hour:03d}"
            assert (folder / "manifest.json").exists()
            assert (folder / "eval/metrics.json").exists()
            assert not (folder / "model.safetensors").is_symlink()
        assert await it.promotion.rollback(by="uid 7")


@pytest.mark.anyio
async def test_nothing_local_goes_before_it_is_uploaded_and_its_grace_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader, "_in_a_process", in_this_process)
    archive = tmp_path / "archive"
    now = [settings(UploadSettings(to=(str(archive),), grace_seconds=3600), enabled=False, keep_artifacts=0)]
    async with learning(StandIns(a_home(tmp_path)), lambda: now[0]) as it:
        first, _ = await train_job(it, "a"), await train_job(it, "b")
        await it.uploader.upload_pending()  # the archive is not there
        assert "cannot be uploaded" in " ".join(it.degradations.reasons())
        assert ("a", "it is not uploaded yet (uploads.to)") in await kept(it)
        archive.mkdir()
        await it.uploader.upload_pending()
        assert it.degradations.reasons() == []
        now[0] = settings(UploadSettings(to=(str(archive),), grace_seconds=3600), enabled=False)
        assert await removed(it) == []
        for dry_run in (True, False):
            now[0] = settings(UploadSettings(to=(str(archive),), dry_run=dry_run), enabled=False)
            expected = [] if dry_run else [("a", f"it is in {archive}/a (uploads.clean)")]
            assert [each for each in await removed(it) if each[0] == "a"] == expected
        await it.retention.clean()
        assert (await it.store.version(first.version or 0)).is_purged
        [event, *_] = [event for event in await it.store.newest_events(20) if event.type == "uploaded"]
        assert event.data["verified"] is True


@pytest.mark.anyio
async def test_a_real_process_uploads_and_is_not_taken_for_an_orphan(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    chosen = settings(UploadSettings(to=(str(tmp_path / "archive"),)), enabled=False)
    async with learning(StandIns(a_home(tmp_path)), chosen) as it:
        await train_job(it, "a")
        await it.uploader.upload_pending()
        assert (tmp_path / "archive/a/model.safetensors").exists()


@pytest.mark.anyio
async def test_tokenizers_go_when_nothing_has_used_them_for_long(tmp_path: Path) -> None:
    unused = {"enabled": True, "min_unused_days": 30}
    async with learning(StandIns(a_home(tmp_path)), settings(enabled=False, tokenizers=unused)) as it:
        for name, days in (("old", 31), ("fresh", 1), ("trained", 31), ("asked", 31)):
            folder = it.paths.artifacts / "tokenizers" / name
            folder.mkdir(parents=True)
            (folder / "tokenizer.json").write_text("{}")
            os.utime(folder, (time.time() - days * 86_400,) * 2)
        await train_job(it, "a", tokenizer="trained")
        asked = {"kind": "score", "request": {"tokenizer_id": "asked"}, "owner": "uid 1", "retries": 0}
        limits = {"retry_interval_seconds": 1, "time_limit_seconds": 60}
        await it.store.add_job(NewJob.model_validate(asked | limits))
        assert await removed(it, "tokenizer") == [("old", "nothing used it for so long (retention.tokenizers)")]
        assert dict(await kept(it, "tokenizer")) == {
            "fresh": "it was used less than 30 days ago (retention.tokenizers.min_unused_days)",
            "trained": "version 000001 was trained with it",
            "asked": "a job under way names it",
        }


@pytest.mark.anyio
@pytest.mark.parametrize(("evict", "gone"), [("lru", ["b", "c"]), ("oldest", ["a", "b"])])
async def test_the_cache_of_corpora_keeps_both_bounds(tmp_path: Path, evict: str, gone: list[str]) -> None:
    bounds = {"enabled": True, "max_bytes": 2 * BLOCK, "min_free_bytes": 0, "evict": evict}
    async with learning(StandIns(a_home(tmp_path)), settings(enabled=False, corpora=bounds)) as it:
        it.paths.corpora.mkdir(exist_ok=True)
        for days, name in ((4, "a"), (3, "b"), (2, "c"), (1, "named")):
            (it.paths.corpora / name).write_bytes(b"x" * BLOCK)
            os.utime(it.paths.corpora / name, (time.time() - days * 86_400,) * 2)
        (it.paths.corpora / ".a.used").touch()
        (it.paths.corpora / ".tmp-d.part").write_bytes(b"x" * BLOCK)
        asked = {"kind": "train", "run_id": "r", "request": {"corpus": [str(it.paths.corpora / "named")]}, "retries": 0}
        limits = {"owner": "uid 1", "retry_interval_seconds": 1, "time_limit_seconds": 60}
        await it.store.add_job(NewJob.model_validate(asked | limits))
        await it.retention.clean()
        assert disk.names(it.paths.corpora) == sorted({"a", "b", "c", "named"} - set(gone))
        assert (it.paths.corpora / ".tmp-d.part").exists()


@pytest.mark.anyio
async def test_what_a_job_left_and_its_row_outlived_goes_too(tmp_path: Path) -> None:
    async with learning(StandIns(a_home(tmp_path)), settings(enabled=False, keep_snapshots=0)) as it:
        for number in (7, 8):
            fill(it.paths, number)
            (it.paths.run_folder(number)).rename(it.paths.runs / f"job-{number:06d}")
        open_job, _ = await it.store.add_job(
            NewJob(kind=JobKind.SCORE, owner="uid 1", retries=0, retry_interval_seconds=1, time_limit_seconds=1)
        )
        (it.paths.runs / "job-000008").rename(it.paths.runs / f"job-{open_job.id:06d}")
        await it.retention.clean()
        assert not (it.paths.runs / "job-000007/checkpoints").exists()
        assert (it.paths.runs / f"job-{open_job.id:06d}/checkpoints").exists()


async def kept(it: Learning, kind: str = "artifact") -> list[tuple[str, str]]:
    return [(thing.name, why) for thing, why in (await it.retention.plan()).kept if thing.kind == kind]


async def removed(it: Learning, kind: str = "artifact") -> list[tuple[str, str]]:
    return [(thing.name, why) for thing, why in (await it.retention.plan()).removed if thing.kind == kind]
