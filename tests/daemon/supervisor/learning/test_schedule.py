"""The schedule neither skips nor doubles a cycle, whatever restarts lie between."""

import asyncio
import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from control.paths import at_home
from daemon.cycle import CycleState
from daemon.messages import Counts
from daemon.settings.sections import ScheduleSettings, Tables
from daemon.supervisor.learning.schedule import LAST_BACKUP, LAST_RUN, enough_is_new, next_run
from daemon.supervisor.store.records import CycleRequest
from tests.daemon.supervisor.stand_ins import Script, StandIns, ended, learning, settled, tables

START = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)


@settings(max_examples=200, deadline=None)
@given(
    interval=st.integers(1, 90),
    lives=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=1, max_size=8),
)
def test_over_any_restarts_runs_are_an_interval_apart_and_none_is_missed(interval: int, lives) -> None:
    """Each life is so many minutes up, then so many down; the clock is the test's."""
    plan = ScheduleSettings(interval_minutes=interval)
    now = last = START
    runs: list[datetime.datetime] = []
    for up, down in lives:
        stop = now + up * MINUTE
        while (due := next_run(plan, last, now)) is not None and due <= stop:
            now = last = due
            runs.append(due)
        now = stop + down * MINUTE
        owed = next_run(plan, last, now)
        assert owed is not None
        # While it was up nothing was left out: the next one is due within an interval of the last.
        assert last + interval * MINUTE > stop
    gaps = [after - before for before, after in zip([START, *runs], runs, strict=False)]
    assert all(gap >= interval * MINUTE for gap in gaps)


def test_a_run_missed_while_down_is_made_up_for_once() -> None:
    plan = ScheduleSettings(interval_minutes=30)
    back = START + 600 * MINUTE
    assert next_run(plan, START, back) == back
    assert next_run(plan, back, back) == back + 30 * MINUTE


def test_cron_takes_the_place_of_the_interval() -> None:
    plan = ScheduleSettings(cron="15 * * * *")
    first = next_run(plan, START, START)
    assert first is not None
    assert first.astimezone(datetime.UTC).minute == 15
    assert next_run(plan, first, first) == first + 60 * MINUTE
    missed = START + 200 * MINUTE
    assert next_run(plan, START, missed) == missed


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("* * 0", "sun sun"),
        ("* * 7", "sun sun"),
        ("* * 1-5", "mon tue wed thu fri mon"),
        ("* * 5-7", "sun fri sat sun fri"),
        ("* * */2", "sun tue thu sat sun"),
        ("* * 0-6/3,5", "sun wed fri sat sun"),
        ("* * mon", "mon mon"),
        ("3 * 0", "sun tue sun"),  # either: the third of March 2026 is a Tuesday
        ("3 * *", "tue fri"),
    ],
)
def test_days_are_those_of_crontab(days: str, expected: str) -> None:
    plan, found = ScheduleSettings(cron=f"0 12 {days}"), []
    last = datetime.datetime(2026, 3, 1, 11).astimezone()
    for _ in expected.split():
        due = next_run(plan, last, last)
        assert due is not None
        found.append(due.astimezone().strftime("%a").lower())
        last = due
    assert " ".join(found) == expected


@pytest.mark.parametrize("cron", ["0 3 * *", "0 3 * * 8", "0 3 * * 5-1", "0 3 * * 1/0", "60 * * * *", "@daily"])
def test_what_is_no_crontab_is_refused(cron: str) -> None:
    with pytest.raises(ValidationError, match="cron"):
        ScheduleSettings(cron=cron)


def test_turned_off_nothing_is_planned() -> None:
    assert next_run(ScheduleSettings(enabled=False), START, START) is None


@pytest.mark.parametrize(
    ("new", "left", "threshold", "minimum", "expected"),
    [
        (100, 0, 0, 10, False),
        (99, 0, 100, 10, False),
        (100, 0, 100, 10, True),
        (5, 0, 3, 10, False),
        (100, 60, 50, 10, False),
        (110, 60, 50, 10, True),
    ],
)
def test_when_enough_is_new(new: int, left: int, threshold: int, minimum: int, expected: bool) -> None:
    assert enough_is_new(new, left, threshold, minimum) is expected


def minutes(count: float) -> Tables:
    return tables(interval_minutes=count)


async def cycle_of(it, state: CycleState = CycleState.PROMOTED):
    """Wait for the first cycle to end so."""
    async with asyncio.timeout(10):
        while True:
            known = max((event.id for event in await it.store.newest_events(1)), default=0)
            found = await it.store.cycles(1)
            if found and found[0].is_final:
                break
            await it.store.news_after(known)
    assert found[0].state is state
    return found[0]


@pytest.mark.anyio
async def test_a_due_cycle_starts_by_itself_and_the_next_is_planned(tmp_path: Path) -> None:
    workers = StandIns(at_home(tmp_path))
    workers.ledger.add(5)
    before = datetime.datetime.now(datetime.UTC)
    async with learning(workers, minutes(0.005)) as it:
        cycle = await cycle_of(it)
        assert cycle.reason == "schedule"
        written = await it.store.meta(LAST_RUN)
        assert written is not None
        ran = datetime.datetime.fromisoformat(written)
        assert ran - before >= datetime.timedelta(minutes=0.005)


@pytest.mark.anyio
async def test_a_restart_keeps_the_time_of_the_next_cycle(tmp_path: Path) -> None:
    async def life() -> datetime.datetime | None:
        async with learning(StandIns(at_home(tmp_path)), minutes(30)) as it:
            return it.schedule.next_at

    first = await life()
    assert first is not None
    assert [await life() for _ in range(3)] == [first] * 3


@pytest.mark.anyio
async def test_what_came_due_while_down_runs_once_at_start(tmp_path: Path) -> None:
    async def first_life() -> None:
        async with learning(StandIns(at_home(tmp_path)), minutes(600)) as it:
            long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3)
            await it.store.set_meta(LAST_RUN, long_ago.isoformat())

    async def second_life() -> None:
        workers = StandIns(at_home(tmp_path))
        workers.ledger.add(5)
        async with learning(workers, minutes(600)) as it:
            await cycle_of(it)
            await asyncio.sleep(0.05)
            assert len(await it.store.cycles(10)) == 1
            assert it.schedule.next_at is not None
            assert it.schedule.next_at > datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=590)

    await first_life()
    await second_life()


@pytest.mark.anyio
async def test_a_clock_that_was_ahead_holds_no_cycle_up(tmp_path: Path) -> None:
    async def life(*, ahead: bool) -> datetime.datetime | None:
        async with learning(StandIns(at_home(tmp_path)), minutes(30)) as it:
            if ahead:
                ahead_of_us = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=4000)
                for key in (LAST_RUN, LAST_BACKUP):
                    await it.store.set_meta(key, ahead_of_us.isoformat())
            backup = it.schedule._scheduler.get_job("backup").next_run_time
            assert backup < datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)
            return it.schedule.next_at

    await life(ahead=True)
    second, third = await life(ahead=False), await life(ahead=False)
    assert second is not None
    assert second < datetime.datetime.now(datetime.UTC) + 31 * MINUTE
    assert third == second


@pytest.mark.anyio
async def test_a_clock_that_is_set_while_it_runs_is_followed(tmp_path: Path) -> None:
    set_by = datetime.timedelta()
    workers = StandIns(at_home(tmp_path))
    async with learning(workers, minutes(30), clock_seconds=0.01) as it:
        it.schedule._clock = lambda: datetime.datetime.now(datetime.UTC) + set_by
        before = it.schedule.next_at
        assert before is not None
        set_by = datetime.timedelta(days=-10)
        async with asyncio.timeout(5):
            while it.schedule.next_at == before:
                await asyncio.sleep(0.005)
        assert it.schedule.next_at is not None
        assert abs(before - datetime.timedelta(days=10) - it.schedule.next_at) < MINUTE


@pytest.mark.anyio
async def test_after_the_machine_slept_what_came_due_runs(tmp_path: Path) -> None:
    """The scheduler's own alarm goes by a clock that stands still meanwhile."""
    workers = StandIns(at_home(tmp_path))
    workers.ledger.add(5)
    async with learning(workers, minutes(0.002), clock_seconds=0.01) as it:
        it.schedule._scheduler._stop_timer()
        cycle = await cycle_of(it)
        assert cycle.reason == "schedule"


@pytest.mark.anyio
async def test_a_cycle_due_while_another_runs_comes_after_it_once(tmp_path: Path) -> None:
    workers = StandIns(at_home(tmp_path))
    workers.ledger.add(5)
    async with learning(workers, minutes(600)) as it:
        workers.hold("trainer")
        manual = await it.cycles.trigger("api")
        await workers.until_held("trainer")
        for _ in range(3):
            await it.schedule._ring()
        await asyncio.sleep(0.02)
        workers.release("trainer")
        workers.ledger.add(5)
        await ended(it, manual.id)
        async with asyncio.timeout(5):
            while len(found := await it.store.cycles(10)) < 2 or not found[0].is_final:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        assert [cycle.reason for cycle in await it.store.cycles(10)] == ["schedule", "api"]


@pytest.mark.anyio
async def test_enough_new_conversations_start_a_cycle(tmp_path: Path) -> None:
    workers = StandIns(at_home(tmp_path))
    workers.ledger.add(5)
    async with learning(workers, tables(threshold=5)) as it:
        workers.tell("intake", Counts(new=4))
        await asyncio.sleep(0.02)
        assert await it.store.cycles(1) == []
        workers.tell("intake", Counts(new=5))
        cycle = await cycle_of(it)
        assert cycle.reason == "threshold"


@pytest.mark.anyio
async def test_conversations_that_were_rejected_do_not_start_the_same_cycle_over_and_over(tmp_path: Path) -> None:
    workers = StandIns(at_home(tmp_path), Script(verdicts=[False] * 50))
    workers.ledger.add(5)
    async with learning(workers, tables(threshold=5)) as it:
        workers.tell("intake", Counts(new=5))
        await cycle_of(it, CycleState.REJECTED)
        await settled(it)
        await asyncio.sleep(0.05)
        assert len(await it.store.cycles(10)) == 1
        workers.tell("intake", Counts(new=10))
        async with asyncio.timeout(5):
            while len(await it.store.cycles(10)) < 2:
                await asyncio.sleep(0.005)


@pytest.mark.anyio
async def test_a_corpus_that_was_not_learned_keeps_no_conversations_waiting(tmp_path: Path) -> None:
    workers = StandIns(at_home(tmp_path), Script(verdicts=[False]))
    workers.ledger.add(5)
    async with learning(workers, tables(threshold=5)) as it:
        manual = await it.cycles.trigger("api", CycleRequest(corpus=("/books.txt",)))
        assert (await ended(it, manual.id)).state is CycleState.REJECTED
        await settled(it)
        workers.tell("intake", Counts(new=5))
        async with asyncio.timeout(5):
            while len(await it.store.cycles(10)) < 2:
                await asyncio.sleep(0.005)


@pytest.mark.anyio
async def test_after_a_cancel_it_is_quiet_for_an_interval(tmp_path: Path) -> None:
    workers = StandIns(at_home(tmp_path))
    workers.ledger.add(5)
    async with learning(workers, tables(threshold=5)) as it:
        workers.hold("trainer")
        manual = await it.cycles.trigger("api")
        await workers.until_held("trainer")
        await it.schedule._ring()
        await asyncio.sleep(0.02)
        assert it.schedule.waits
        await it.cycles.cancel(manual.id, "uid 7")
        due = await it.schedule.planned()
        assert due is not None
        assert due > datetime.datetime.now(datetime.UTC) + 599 * MINUTE
        await settled(it)
        workers.tell("intake", Counts(new=5))
        await asyncio.sleep(0.02)
        assert len(await it.store.cycles(10)) == 1, "what the cancelled cycle gave back starts none"


@pytest.mark.anyio
async def test_paused_nothing_starts_by_itself_and_by_hand_it_does(tmp_path: Path) -> None:
    async def first_life() -> None:
        async with learning(StandIns(at_home(tmp_path)), minutes(600)) as it:
            assert (await it.schedule.pause("uid 7")).by == "uid 7"
            long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3)
            await it.store.set_meta(LAST_RUN, long_ago.isoformat())

    async def second_life() -> None:
        workers = StandIns(at_home(tmp_path))
        workers.ledger.add(5)
        async with learning(workers, tables(threshold=5)) as it:
            assert it.schedule.paused is not None
            assert it.schedule.next_at is None
            workers.tell("intake", Counts(new=5))
            await it.schedule._ring()
            await asyncio.sleep(0.02)
            assert await it.store.cycles(10) == []
            manual = await it.cycles.trigger("manual")
            assert (await ended(it, manual.id)).state is CycleState.PROMOTED
            workers.ledger.add(5)
            await it.schedule.resume("uid 7")
            async with asyncio.timeout(5):
                while len(found := await it.store.cycles(10)) < 2:
                    await asyncio.sleep(0.005)
            assert found[0].reason == "schedule"
            kinds = [event.type for event in await it.store.newest_events(100)]
            assert kinds.count("schedule.paused") == kinds.count("schedule.resumed") == 1

    await first_life()
    await second_life()


@pytest.mark.anyio
async def test_databases_are_copied_at_night(tmp_path: Path) -> None:
    async with learning(StandIns(at_home(tmp_path))) as it:
        planned = it.schedule._scheduler.get_job("backup").next_run_time.astimezone()
        assert (planned.hour, planned.minute) == (3, 30)
        await it.schedule._back_up()
        assert [file.name[:6] for file in it.paths.backups.iterdir()] == ["thord-"]
        assert await it.store.meta(LAST_BACKUP) is not None
