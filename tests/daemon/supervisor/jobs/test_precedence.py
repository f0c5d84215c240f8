"""Who trains next, and who gives way: the table of `precedence`, and turns taken by it."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.settings.jobs import JobSettings
from daemon.supervisor.jobs.precedence import Claim, gives_way_after, next_of
from daemon.supervisor.jobs.turns import Turns

claims = st.builds(Claim, st.sampled_from(["cycle", "job"]), st.integers(-3, 3), st.integers(0, 100))


@given(waiting=st.lists(claims))
def test_the_highest_goes_first_and_of_equals_who_came_first(waiting: list[Claim]) -> None:
    first = next_of(waiting)
    assert (first is None) == (not waiting)
    for other in waiting:
        assert first is not None
        assert (first.priority, -first.arrived) >= (other.priority, -other.arrived)


@pytest.mark.parametrize(
    ("holder", "waits", "seconds"),
    [
        (Claim("cycle", 0, 0), Claim("job", 9, 1), None),
        (Claim("cycle", 0, 0), Claim("cycle", 0, 1), None),
        (Claim("job", 0, 0), Claim("job", 9, 1), None),
        (Claim("job", 1, 0), Claim("cycle", 0, 1), None),
        (Claim("job", 0, 0), Claim("cycle", 0, 1), 60.0),
        (Claim("job", 0, 0), Claim("cycle", 1, 1), 60.0),
    ],
)
def test_a_job_gives_way_to_a_cycle_only(holder: Claim, waits: Claim, seconds: float | None) -> None:
    assert gives_way_after(holder, [waits], 60.0) == seconds
    assert gives_way_after(holder, [], 60.0) is None


@pytest.mark.anyio
async def test_one_trains_at_a_time_and_a_job_gives_way_after_its_turn() -> None:
    turns = Turns(lambda: JobSettings(turn_minutes=0.001))
    order: list[str] = []
    gives_way = asyncio.Event()

    async def job(name: str, priority: int) -> None:
        async with turns.job(priority, gives_way.set):
            order.append(name)
            await asyncio.wait_for(gives_way.wait(), 5)

    async def cycle() -> None:
        async with turns.cycle():
            order.append("cycle")

    long = asyncio.create_task(job("long", 0))
    await asyncio.sleep(0.01)
    later = [asyncio.create_task(work) for work in (job("low", -1), cycle(), job("high", 5))]
    await asyncio.gather(long, *later)
    assert order == ["long", "high", "cycle", "low"]


@pytest.mark.anyio
async def test_who_stops_waiting_takes_no_turn() -> None:
    turns = Turns(JobSettings)
    async with turns.cycle():
        waiting = asyncio.create_task(turns.job(0, lambda: None).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
    async with asyncio.timeout(1), turns.cycle():
        pass
