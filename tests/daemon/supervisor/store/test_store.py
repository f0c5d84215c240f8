"""The store: each change whole or absent, through kills, full disks and damage."""

import asyncio
import os
import random
import resource
import signal
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.cycle import FINAL, TABLE, CycleEvent, CycleState, CycleTransitionError
from daemon.job import JobKind
from daemon.supervisor.store.backup import KEEP, back_up
from daemon.supervisor.store.job_records import NewJob
from daemon.supervisor.store.records import CycleRequest
from daemon.supervisor.store.schema import MIGRATIONS
from daemon.supervisor.store.store import Store, StoreDamagedError, StoreUnavailableError
from tests.daemon.supervisor.lives import live


async def opened(folder: Path) -> Store:
    return await Store.open(folder / "thord.db", folder / "backups")


@pytest.mark.anyio
@settings(max_examples=20, deadline=None)
@given(walk=st.lists(st.sampled_from(list(CycleEvent)), max_size=12))
async def test_rows_follow_the_table_and_every_change_has_its_event(
    tmp_path_factory: pytest.TempPathFactory, walk
) -> None:
    folder = tmp_path_factory.mktemp("walk")
    store = await opened(folder)
    number, state, expected = None, None, []
    for event in walk:
        if number is None:
            number, state = (await store.add_cycle("api", CycleRequest())).id, CycleState.QUEUED
            expected.append("cycle.queued")
        if (state, event) in TABLE:
            state = TABLE[state, event]
            cycle = await store.transition(number, event)
            expected.append(f"cycle.{state}")
            assert (cycle.state, cycle.ended_at is not None) == (state, state in FINAL)
        else:
            with pytest.raises(CycleTransitionError):
                await store.transition(number, event)
        if state in FINAL:
            number = None
    assert [event.type for event in await store.newest_events(100)][::-1] == expected
    await store.close()


def test_a_row_and_its_event_survive_a_kill_together_or_not_at_all(tmp_path: Path) -> None:
    async def work_until_killed(_: object) -> None:
        store = await opened(tmp_path)
        pid, chance = os.getpid(), random.Random()
        asyncio.get_running_loop().call_later(chance.uniform(0.005, 0.08), os.kill, pid, signal.SIGKILL)
        left = await store.unfinished_cycle()
        while True:
            cycle = left or await store.add_cycle("api", CycleRequest())
            left = None
            if cycle.state is CycleState.QUEUED:
                await store.transition(cycle.id, CycleEvent.START)
            await store.transition(cycle.id, CycleEvent.CANCEL)

    async def look() -> None:
        store = await opened(tmp_path)
        cycles = await store.cycles(10_000)
        events = await store.newest_events(100_000)
        newest = {}
        for event in events[::-1]:
            newest[event.data["cycle"]] = event.type
        assert newest == {cycle.id: f"cycle.{cycle.state}" for cycle in cycles}
        await store.close()

    for _ in range(10):
        assert live(work_until_killed, None) is None
        asyncio.run(look())


def test_a_full_disk_is_an_error_that_passes(tmp_path: Path) -> None:
    async def life(_: object) -> None:
        store = await opened(tmp_path)
        cycle = await store.add_cycle("api", CycleRequest())
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        with pytest.raises(StoreUnavailableError):
            await store.transition(cycle.id, CycleEvent.START)
        assert (await store.cycle(cycle.id)).state is CycleState.QUEUED
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert (await store.transition(cycle.id, CycleEvent.START)).state is CycleState.COLLECTING
        assert [event.type for event in await store.newest_events(9)] == ["cycle.collecting", "cycle.queued"]
        await store.close()

    assert live(life, None) is not None


@pytest.mark.anyio
@pytest.mark.parametrize("content", [b"not a database at all, " * 100, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_damaged_database_is_refused_with_the_way_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "thord.db").write_bytes(content)
    with pytest.raises(StoreDamagedError, match="there is no backup"):
        await opened(tmp_path)
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "thord-20260101.db").touch()
    (tmp_path / "backups" / "thord-20260102.db").touch()
    with pytest.raises(StoreDamagedError, match=r"thord-20260102\.db"):
        await opened(tmp_path)


@pytest.mark.anyio
async def test_damage_inside_is_found_at_start(tmp_path: Path) -> None:
    async def fill() -> None:
        store = await opened(tmp_path)
        for _ in range(200):
            await store.note("something", {"text": "x" * 500})
        await store.close()

    await fill()
    file = tmp_path / "thord.db"
    content = bytearray(file.read_bytes())
    content[20_000:24_000] = os.urandom(4_000)
    file.write_bytes(content)
    with pytest.raises(StoreDamagedError, match="is damaged"):
        await opened(tmp_path)


@pytest.mark.anyio
async def test_a_database_of_a_newer_thord_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "thord.db")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreDamagedError, match="newer thord"):
        await opened(tmp_path)


@pytest.mark.anyio
async def test_a_database_keeps_the_columns_that_thord_0_1_reads(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "thord.db", isolation_level=None)
    connection.executescript(f"{';'.join(MIGRATIONS[:3])}; PRAGMA user_version = 3;")
    connection.execute(
        "INSERT INTO cycles (id, state, reason, request, attempt, fruitless, furthest, data_at_fault, settled,"
        " created_at) VALUES (7, 'training', 'schedule', '{}', 5, 4, 90, 0, 0, '2026-01-01T00:00:00.000Z')"
    )
    store = await opened(tmp_path)
    assert (await store.cycle(7)).attempts_without_progress == 4
    await store.begin_attempt(7, "the trainer was killed")
    await store.close()
    assert connection.execute("SELECT attempt, fruitless FROM cycles").fetchall() == [(6, 5)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()


@pytest.mark.anyio
async def test_the_database_is_durable_and_in_wal_mode(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.add_cycle("api", CycleRequest())
    database = store._database
    assert await database.run(lambda: database.scalar("PRAGMA journal_mode")) == "wal"
    assert await database.run(lambda: database.scalar("PRAGMA synchronous")) == 2
    assert await database.run(lambda: database.scalar("PRAGMA user_version")) == len(MIGRATIONS)
    await store.close()


@pytest.mark.anyio
async def test_a_number_is_never_given_to_two_versions(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    assert await store.reserve_version(0) == 1
    assert await store.reserve_version(41) == 42
    await store.release_version(42)
    assert await store.reserve_version(41) == 42
    assert await store.reserve_version(41) == 43
    await store.release_version(42)
    run = NewJob(kind=JobKind.TRAIN, owner="uid 1", retries=0, retry_interval_seconds=0, time_limit_seconds=1)
    job, _ = await store.add_job(run)
    assert [(await store.assign_version(job.id, 41)).version for _ in range(2)] == [44, 44]
    cycle = await store.add_cycle("api", CycleRequest())
    await store.transition(cycle.id, CycleEvent.START)
    assert (await store.transition(cycle.id, CycleEvent.COLLECTED, version_above=41)).version == 45
    await store.transition(cycle.id, CycleEvent.CANCEL)
    assert await store.reserve_version(41) == 46
    await store.close()


@pytest.mark.anyio
async def test_news_wakes_whoever_waits_for_events(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.note("first", {})
    waiting = asyncio.create_task(store.news_after(1))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await store.note("second", {})
    await asyncio.wait_for(waiting, 1)
    assert [event.type for event in await store.events_after(1, 10)] == ["second"]
    await store.close()


@pytest.mark.anyio
async def test_a_backup_holds_what_was_written_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    backups.mkdir()
    for day in range(10, 20):
        (backups / f"thord-202001{day}.db").touch()
    store = await opened(tmp_path)
    await store.add_cycle("api", CycleRequest())
    copy = await asyncio.to_thread(back_up, tmp_path / "thord.db", backups)  # the store is open, the WAL is full
    await store.transition(1, CycleEvent.START)
    await store.close()
    assert copy is not None
    restored = await Store.open(copy, backups)
    assert (await restored.cycle(1)).state is CycleState.QUEUED
    await restored.close()
    copies = sorted(file.name for file in backups.glob("thord-????????.db"))
    assert len(copies) == KEEP
    assert copies[0] == "thord-20200114.db"
    assert back_up(tmp_path / "no.db", backups) is None


def test_a_backup_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    backups.mkdir()
    (backups / ".tmp-thord-20200110.db").touch()  # of a thord that was killed
    (tmp_path / "thord.db").write_bytes(b"no database" * 1000)
    with pytest.raises(sqlite3.DatabaseError):
        back_up(tmp_path / "thord.db", backups)
    assert list(backups.iterdir()) == []
