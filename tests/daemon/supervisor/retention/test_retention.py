"""A home that is left alone stays small, whatever else lies in it and whenever it is killed."""

import datetime
import hashlib
from pathlib import Path

import pytest

from control.paths import Paths, at_home
from daemon.settings.sections import RetentionSettings, Tables
from daemon.supervisor.learning.learning import Learning
from daemon.supervisor.retention import disk
from daemon.supervisor.store.store import PurgedError
from tests.daemon.supervisor.stand_ins import Script, StandIns, ended, learning, publish, settled, tables

BLOCK = 1 << 16
CYCLES = 40


def with_retention(**given: object) -> Tables:
    return tables(minimum=1).model_copy(update={"retention": RetentionSettings.model_validate(given)})


def fill(paths: Paths, cycle: int) -> None:
    """What a run, the intake and the monitor would leave."""
    run, snapshot, board = paths.run_folder(cycle), paths.snapshot(cycle), paths.tensorboard / f"{cycle:06d}"
    for folder in (run / "checkpoints/step-1", run / "data", snapshot, board):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "file").write_bytes(b"x" * BLOCK)
    (run / "run.json").write_text("{}")
    (run / "metrics.jsonl").write_text("{}\n")


async def one_cycle(it: Learning, workers: StandIns) -> int:
    workers.ledger.add(1)
    cycle = await it.cycles.trigger("test")
    fill(it.paths, cycle.id)
    await ended(it, cycle.id)
    return cycle.id


def used(paths: Paths) -> int:
    places = (paths.models, paths.runs, paths.snapshots, paths.tensorboard)
    return disk.size(list(places))


@pytest.mark.anyio
async def test_many_cycles_stay_within_a_bound_and_roll_back(tmp_path: Path) -> None:
    workers = StandIns(at_home(tmp_path), Script(verdicts=[number % 3 != 0 for number in range(CYCLES)]))
    settings = with_retention(keep_versions=2, keep_snapshots=2, keep_figures=3, keep_runs=0)
    sizes = []
    async with learning(workers, settings) as it:
        for _ in range(CYCLES):
            await one_cycle(it, workers)
            await it.retention.clean()
            sizes.append(used(it.paths))
        assert max(sizes[25:]) <= max(sizes[15:25]) + CYCLES * 3 * 4096, "records are all that grows"
        versions = await it.store.versions()
        assert len(versions) == CYCLES
        assert len(await it.store.cycles(1000)) == CYCLES
        purged = [version for version in versions if version.is_purged]
        assert len(purged) > CYCLES - 15
        for version in versions:
            folder = it.paths.version(version.number)
            assert (folder / "manifest.json").exists()
            assert (folder / "model.safetensors").exists() is not version.is_purged
        assert all((it.paths.run_folder(number) / "run.json").exists() for number in range(1, CYCLES + 1))
        serving = it.promotion.serving
        with pytest.raises(PurgedError, match=r"were removed at .* \(retention\.keep_versions\)"):
            await it.promotion.promote(next(v.number for v in purged if v.state == "available"), by="uid 7")
        back = await it.promotion.rollback(by="uid 7")
        assert back.number == (await it.store.version(serving or 0)).previous
        assert await it.promotion.rollback(by="uid 7")


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns} {status.st_ino}\n".encode(errors="replace"))
    return digest.hexdigest()


@pytest.mark.anyio
async def test_a_plan_changes_nothing_and_is_what_is_carried_out(tmp_path: Path) -> None:
    workers = StandIns(at_home(tmp_path))
    settings = with_retention(enabled=False, keep_versions=0, keep_snapshots=0, keep_rollbacks=1)
    async with learning(workers, settings) as it:
        for _ in range(5):
            await one_cycle(it, workers)
        places = (it.paths.models, it.paths.runs, it.paths.snapshots, it.paths.tensorboard)
        before = [_fingerprint(place) for place in places]
        planned = await it.retention.plan()
        assert [_fingerprint(place) for place in places] == before
        space = used(it.paths)
        done = await it.retention.clean()
        assert done.plan == planned
        assert done.complaints == ()
        assert space - used(it.paths) == planned.bytes
        assert (await it.retention.plan()).removed == ()
        [event] = [event for event in await it.store.newest_events(20) if event.type == "cleaned"]
        assert event.data["bytes"] == planned.bytes


@pytest.mark.anyio
async def test_a_pinned_version_and_one_that_takes_part_in_a_cycle_stay(tmp_path: Path) -> None:
    workers = StandIns(at_home(tmp_path))
    settings = with_retention(enabled=False, keep_versions=0, keep_rollbacks=1)
    async with learning(workers, settings) as it:
        for _ in range(6):
            await one_cycle(it, workers)
        await it.store.pin_version(2, pinned=True)
        workers.hold("trainer")
        workers.ledger.add(1)
        cycle = await it.cycles.trigger("by hand", None)
        await workers.until_held("trainer")
        fill(it.paths, cycle.id)
        await it.retention.clean()
        whole = {version.number for version in await it.store.versions() if not version.is_purged}
        assert 2 in whole
        assert it.promotion.serving in whole
        assert (it.paths.run_folder(cycle.id) / "checkpoints").exists()
        assert it.paths.snapshot(cycle.id).exists()
        workers.release("trainer")
        await ended(it, cycle.id)


@pytest.mark.anyio
async def test_what_others_put_there_is_left_alone(tmp_path: Path) -> None:
    workers = StandIns(at_home(tmp_path))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_bytes(b"x" * BLOCK)
    async with learning(workers, with_retention(enabled=False, keep_versions=0, keep_snapshots=0)) as it:
        for _ in range(3):
            await one_cycle(it, workers)
        foreign = [it.paths.runs / "mine", it.paths.snapshots / "000099", it.paths.runs / "000002\nx"]
        for folder in foreign:
            folder.mkdir()
            (folder / "checkpoints").mkdir()
        (it.paths.run_folder(2) / "notes.txt").write_text("mine")
        (it.paths.run_folder(3) / "tokenizer").symlink_to(outside)
        (it.paths.snapshots / "000098").symlink_to(outside)
        await it.retention.clean()
        assert all((folder / "checkpoints").is_dir() for folder in foreign)
        assert (it.paths.run_folder(2) / "notes.txt").exists()
        assert (outside / "keep").exists()
        assert not (it.paths.run_folder(2) / "checkpoints").exists()


@pytest.mark.anyio
async def test_a_crash_between_any_two_steps_is_finished_by_the_next_start(tmp_path: Path) -> None:
    paths = at_home(tmp_path)

    async def first_life() -> None:
        async with learning(StandIns(paths), with_retention(enabled=False)) as it:
            for number in (1, 2, 3):
                publish(paths, number)
            (paths.run_folder(1) / "checkpoints").mkdir(parents=True)
            await it.store.note("test", {})

    async def second_life() -> None:
        """Version 1 is marked and not moved; of version 2 the weights are in the trash; a run's are, too."""
        async with learning(StandIns(paths), with_retention(enabled=False)) as it:
            for number in (1, 2):
                await it.store.purge_version(number, "a test")
            for path in (*disk.parts(paths, "version", 2), paths.run_folder(1) / "checkpoints"):
                trash = disk._trash_of(path)
                trash.mkdir(exist_ok=True)
                path.rename(trash / f"{path.parent.name}-{path.name}")

    async def third_life() -> None:
        async with learning(StandIns(paths), with_retention(enabled=False)):
            for number in (1, 2):
                assert {file.name for file in paths.version(number).iterdir()} == {"manifest.json"}
            assert (paths.version(3) / "model.safetensors").exists()
            assert not list(tmp_path.rglob(".trash"))

    for life in (first_life, second_life, third_life):
        await life()


def test_what_cannot_be_removed_is_said_and_the_rest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (tmp_path / "snapshots" / name for name in ("000001", "000002"))
    for folder in (first, second):
        folder.mkdir(parents=True)
    rename = Path.rename

    def stubborn(self: Path, target: Path) -> Path:
        if self == first:
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stubborn)
    assert disk.remove([first, second, tmp_path / "snapshots/000003"]) == [f"{first}: Permission denied"]
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == ["000001"]


@pytest.mark.anyio
async def test_a_run_that_does_not_fit_is_refused_by_name_and_costs_no_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = StandIns(at_home(tmp_path))
    async with learning(workers, with_retention()) as it:
        first = await one_cycle(it, workers)
        assert (await it.store.cycle(first)).state == "promoted"
        monkeypatch.setattr(disk, "free_bytes", lambda _: 0)
        workers.ledger.add(1)
        cycle = await ended(it, (await it.cycles.trigger("test")).id)
        assert cycle.state == "failed"
        assert "does not fit on the disk" in (cycle.outcome or "")
        assert str(it.paths.models) in (cycle.outcome or "")
        await settled(it)
        assert workers.ledger.collect(99, limit=10) == 1, "its conversation is new again"


@pytest.mark.anyio
async def test_a_version_says_why_it_is_kept_and_when_it_becomes_too_old(tmp_path: Path) -> None:
    workers = StandIns(at_home(tmp_path))
    settings = with_retention(keep_versions=1, keep_rollbacks=1, keep_days=2)
    async with learning(workers, settings) as it:
        for _ in range(8):
            await one_cycle(it, workers)
        await it.retention.clean()
        assert it.promotion.serving == 8
        assert await it.retention.disposition(8) == ("it serves", None)
        kept = {n: await it.retention.disposition(n) for n in range(1, 9)}
        [(number, (why, until))] = [(n, found) for n, found in kept.items() if found and found[1] is not None]
        assert why == "among the newest 1 (retention.keep_versions)"
        created = datetime.datetime.fromisoformat((await it.store.version(number)).created_at or "")
        assert until == created.timestamp() + 2 * 86_400
        assert None in kept.values(), "of one that is purged nothing is kept"
