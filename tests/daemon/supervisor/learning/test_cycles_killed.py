"""A thord that is killed at any moment of a cycle still ends it once."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.paths import Paths, at_home
from daemon.cycle import CycleState
from engine import artifacts
from engine.manifest import verify
from tests.daemon.supervisor.ledger_stand_in import Ledger
from tests.daemon.supervisor.lives import live
from tests.daemon.supervisor.stand_ins import (
    StandIns,
    ended,
    learning,
    settled,
    tables,
    with_conversations,
)


def life_of(paths: Paths):
    """One life: a first cycle is triggered if none was yet, and everything unfinished is brought to its end."""

    async def life(moment) -> None:
        workers = StandIns(paths, moment=moment)
        async with learning(workers, tables(attempts=50)) as it:
            workers.boot_server()
            if not await it.store.cycles(1):
                await it.cycles.trigger("api")
            await ended(it, 1)
            await settled(it)
            while it.promotion.serving != workers.serving:
                await asyncio.sleep(0.001)

    return life


def check_between(paths: Paths) -> None:
    """What must hold at every instant."""
    version = artifacts.current_version(paths.current)
    if version is not None:
        verify(paths.version(version))


def check_end(paths: Paths) -> None:
    """What must hold when everything has ended: one promotion, and each conversation learned once."""

    async def look() -> None:
        async with learning(StandIns(paths)) as it:
            [cycle] = await it.store.cycles(10)
            kinds = [event.type for event in await it.store.newest_events(1000)]
            [version] = await it.store.versions()
            assert cycle.state is CycleState.PROMOTED
            assert cycle.settled
            assert await it.store.swap() is None
            assert (version.number, version.state, version.proven) == (1, "available", True)
        assert kinds.count("cycle.promoted") == kinds.count("version.promoted") == 1

    asyncio.run(look())
    assert Ledger(paths.state / "ledger.json").learned == [[1]] * 5
    assert artifacts.current_version(paths.current) == 1
    check_between(paths)


def test_killed_at_every_moment_a_cycle_still_ends_once(tmp_path: Path) -> None:
    calm = at_home(tmp_path / "calm")
    with_conversations(calm)
    moments = live(life_of(calm), None)
    assert moments is not None
    check_end(calm)
    assert {"prepare answered", "commit asked", "commit answered"} <= set(moments)
    for number in range(len(moments)):
        paths = at_home(tmp_path / f"killed-{number}")
        with_conversations(paths)
        if live(life_of(paths), number) is None:
            check_between(paths)
            live(life_of(paths), None)
        check_end(paths)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.lists(st.integers(0, 40), min_size=2, max_size=6))
def test_killed_again_and_again_a_cycle_still_ends_once(tmp_path_factory: pytest.TempPathFactory, kills) -> None:
    paths = at_home(tmp_path_factory.mktemp("killed"))
    with_conversations(paths)
    for number in kills:
        live(life_of(paths), number)
        check_between(paths)
    live(life_of(paths), None)
    check_end(paths)
