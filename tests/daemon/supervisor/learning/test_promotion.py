"""The swap: the old version or the new one is in service at every instant, never neither."""

import asyncio
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.paths import Paths, at_home
from daemon.messages import UNASKED, Abandon, Commit, FromWorker, Prepare, Ready, Refused
from daemon.settings.sections import SupervisionSettings
from daemon.supervisor.learning import rollback_policy
from daemon.supervisor.learning.promotion import (
    NotAllowedError,
    NotNowError,
    RefusedError,
)
from daemon.supervisor.learning.rollback_policy import DEATHS
from daemon.supervisor.processes.ports import WorkerLostError
from daemon.supervisor.store.store import NoSuchRecordError, StoreUnavailableError
from engine import artifacts
from engine.manifest import verify
from tests.daemon.supervisor.lives import live
from tests.daemon.supervisor.stand_ins import Script, StandIns, learning, publish, tables


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return home_of_three(tmp_path)


def home_of_three(folder: Path) -> Paths:
    """A home with three versions, none of them in service."""
    it = at_home(folder)
    for number in (1, 2, 3):
        publish(it, number)
    return it


def spoil(paths: Paths, version: int) -> None:
    weights = paths.version(version) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[7] ^= 1
    weights.write_bytes(content)


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.anyio
async def test_a_swap_prepares_then_moves_current_then_commits(paths: Paths) -> None:
    workers = StandIns(paths)
    async with learning(workers) as it:
        version = await it.promotion.promote(2, by="uid 0")
        assert version.to_json(it.promotion.serving, it.promotion.resident)["state"] == "serving"
    assert [type(message) for message in workers.log] == [Prepare, Commit]
    assert workers.serving == artifacts.current_version(paths.current) == 2
    assert str(paths.current.readlink()) == "versions/000002"


@pytest.mark.anyio
async def test_a_refused_version_leaves_service_untouched_and_a_good_one_works_after_it(paths: Paths) -> None:
    workers = StandIns(paths)
    async with learning(workers) as it:
        await it.promotion.promote(1, by="uid 0")
        spoil(paths, 2)
        with pytest.raises(RefusedError, match="sha256"):
            await it.promotion.promote(2, by="uid 0")
        assert workers.serving == artifacts.current_version(paths.current) == it.promotion.serving == 1
        assert (await it.store.version(2)).state == "quarantined"
        assert isinstance(workers.log[-1], Abandon)
        with pytest.raises(NotAllowedError, match="--force"):
            await it.promotion.promote(2, by="uid 0")
        with pytest.raises(RefusedError):
            await it.promotion.promote(2, by="uid 0", force=True)
        await it.promotion.promote(3, by="uid 0")
        assert workers.serving == 3


@pytest.mark.anyio
async def test_with_the_server_down_the_sums_are_checked_here(paths: Paths) -> None:
    workers = StandIns(paths, Script(server_up=False))
    async with learning(workers) as it:
        await it.promotion.promote(1, by="uid 0")
        spoil(paths, 2)
        with pytest.raises(RefusedError, match="sha256"):
            await it.promotion.promote(2, by="uid 0")
        assert artifacts.current_version(paths.current) == it.promotion.serving == 1
        workers.boot_server()
        await until(lambda: workers.serving == 1)


@pytest.mark.anyio
async def test_a_rejected_version_needs_force_and_an_unknown_one_is_unknown(paths: Paths) -> None:
    async with learning(StandIns(paths)) as it:
        await it.store.judge_version(2, "rejected", "no improvement")
        with pytest.raises(NotAllowedError, match="no improvement"):
            await it.promotion.promote(2, by="uid 0")
        await it.promotion.promote(2, by="uid 0", force=True)
        assert it.promotion.serving == 2
        with pytest.raises(NoSuchRecordError):
            await it.promotion.promote(77, by="uid 0", force=True)


@pytest.mark.anyio
async def test_rollback_goes_back_one_version_after_the_other(paths: Paths) -> None:
    async with learning(StandIns(paths)) as it:
        for number in (1, 2, 3):
            await it.promotion.promote(number, by="uid 0")
        await it.store.judge_version(2, "quarantined", "made nonsense")
        assert (await it.promotion.rollback(by="uid 0")).number == 1
        with pytest.raises(NotAllowedError, match="no earlier version"):
            await it.promotion.rollback(by="uid 0")
        await it.promotion.promote(3, by="uid 0")
        assert (await it.promotion.rollback(by="uid 0")).number == 1
        kinds = [event.type for event in await it.store.newest_events(50)]
        assert kinds.count("version.rolled_back") == 2


@pytest.mark.anyio
@settings(max_examples=15, deadline=None)
@given(walk=st.lists(st.one_of(st.integers(1, 3), st.just("rollback")), max_size=12))
async def test_rollback_always_leads_to_a_version_that_served(tmp_path_factory: pytest.TempPathFactory, walk) -> None:
    home = at_home(tmp_path_factory.mktemp("walk"))
    for number in (1, 2, 3):
        publish(home, number)
    served: list[int] = []
    async with learning(StandIns(home)) as it:
        for step in walk:
            if step == "rollback":
                try:
                    number = (await it.promotion.rollback(by="uid 0")).number
                except NotAllowedError:
                    assert len(set(served)) <= 1 or served[-1] == served[0]
                    continue
                assert number in served
                assert number != served[-1]
            else:
                number = (await it.promotion.promote(step, by="uid 0")).number
            served.append(number)
            assert artifacts.current_version(home.current) == it.promotion.serving == number


@pytest.mark.anyio
async def test_swaps_never_overlap_and_the_same_request_twice_is_one(paths: Paths) -> None:
    workers = StandIns(paths)
    async with learning(workers) as it:
        wanted = [1, 2, 2, 3, 1, 2, 3, 3]
        await asyncio.gather(*(it.promotion.promote(number, by="uid 0") for number in wanted))
        assert not workers.overlapped
        prepares = [message.version for message in workers.log if isinstance(message, Prepare)]
        assert prepares == [1, 2, 3]
        assert workers.serving == it.promotion.serving == artifacts.current_version(paths.current) == 3


@pytest.mark.anyio
async def test_a_client_that_goes_away_does_not_interrupt_a_swap(paths: Paths) -> None:
    workers = StandIns(paths)
    async with learning(workers) as it:
        asked = asyncio.create_task(it.promotion.promote(1, by="uid 0"))
        await until(lambda: workers.preparing)
        asked.cancel()
        await until(lambda: workers.serving == 1)


@pytest.mark.anyio
async def test_a_full_disk_refuses_a_promotion_and_changes_nothing(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    workers = StandIns(paths)
    async with learning(workers) as it:
        await it.promotion.promote(1, by="uid 0")
        with monkeypatch.context() as patch:
            patch.setattr(artifacts, "point", full)
            with pytest.raises(StoreUnavailableError, match="No space left"):
                await it.promotion.promote(2, by="uid 0")
        assert it.promotion.serving == artifacts.current_version(paths.current) == workers.serving == 1
        await it.promotion.promote(2, by="uid 0")
        assert workers.serving == 2


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("unfit", "error", "state"), [(True, RefusedError, "quarantined"), (False, NotNowError, "available")]
)
@pytest.mark.parametrize("before", [None, 1])
async def test_a_swap_that_fails_after_its_commit_point_is_undone(
    paths: Paths, before: int | None, unfit: bool, error: type[Exception], state: str
) -> None:
    workers = StandIns(paths, Script(fails_to_flip=frozenset({2}), failed_flips_are_unfit=unfit))
    async with learning(workers) as it:
        if before is not None:
            await it.promotion.promote(before, by="uid 0")
        with pytest.raises(error, match="not enough memory"):
            await it.promotion.promote(2, by="uid 0")
        assert artifacts.current_version(paths.current) == it.promotion.serving == workers.serving == before
        assert (await it.store.version(2)).state == state
        assert await it.store.swap() is None
        await it.promotion.promote(3, by="uid 0")
        assert workers.serving == 3


# A server that dies or lags ------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_server_killed_while_it_prepares_is_given_another_chance(paths: Paths) -> None:
    workers = StandIns(paths, Script(prepare_kills=DEATHS - 1))
    async with learning(workers) as it:
        await it.promotion.promote(1, by="uid 0")
        assert workers.serving == 1


@pytest.mark.anyio
async def test_how_long_a_killed_server_is_waited_for_follows_a_reload(paths: Paths) -> None:
    class Leaving(StandIns):
        async def _prepare(self, version: int) -> FromWorker:
            self.script.server_up = False
            raise WorkerLostError("the server was killed")

    given = [tables()]  # with minutes to come up
    async with learning(Leaving(paths), lambda: given[-1]) as it:
        given.append(tables().model_copy(update={"supervision": SupervisionSettings(boot_timeout_seconds=0.01)}))
        async with asyncio.timeout(10):
            await it.promotion.promote(1, by="uid 0")
        assert artifacts.current_version(paths.current) == 1


@pytest.mark.anyio
async def test_a_version_that_kills_every_server_is_refused_before_it_serves(paths: Paths) -> None:
    workers = StandIns(paths)
    async with learning(workers) as it:
        await it.promotion.promote(1, by="uid 0")
        workers.script.prepare_kills = 99
        with pytest.raises(RefusedError, match="died 3 times"):
            await it.promotion.promote(2, by="uid 0")
        assert (await it.store.version(2)).state == "quarantined"
        assert artifacts.current_version(paths.current) == workers.serving == 1


@pytest.mark.anyio
async def test_a_version_that_never_came_up_is_left_for_the_one_before(paths: Paths) -> None:
    workers = StandIns(paths)
    async with learning(workers) as it:
        await it.promotion.promote(1, by="uid 0")
        workers.boot_server()
        workers.script.server_up = False
        await it.promotion.promote(2, by="uid 0")
        for _ in range(DEATHS):
            assert artifacts.current_version(paths.current) == 2
            it.promotion.server_died()
            await asyncio.sleep(0.01)
        await until(lambda: artifacts.current_version(paths.current) == 1)
        assert (await it.store.version(2)).state == "quarantined"
        workers.boot_server()
        await until(lambda: workers.serving == 1)


@pytest.mark.anyio
async def test_a_version_that_has_served_is_not_left_because_its_server_is_killed(paths: Paths) -> None:
    workers = StandIns(paths)
    async with learning(workers) as it:
        for number in (1, 2):
            await it.promotion.promote(number, by="uid 0")
            workers.boot_server()
        await asyncio.sleep(0.01)
        for _ in range(2 * DEATHS):
            it.promotion.server_died()
            await asyncio.sleep(0.002)
        assert artifacts.current_version(paths.current) == 2


@pytest.mark.anyio
async def test_a_server_that_came_up_with_the_old_version_is_led_to_current(paths: Paths) -> None:
    workers = StandIns(paths)
    async with learning(workers) as it:
        await it.promotion.promote(1, by="uid 0")
        workers.script.server_up = False
        await it.promotion.promote(2, by="uid 0")
        it.promotion.server_died()
        workers.boot_server(version=1)  # it had read ``current`` a moment before it moved
        await until(lambda: workers.serving == 2)


@pytest.mark.anyio
async def test_a_server_without_room_does_not_condemn_the_version(paths: Paths) -> None:
    workers = StandIns(paths, Script(no_room=1))
    async with learning(workers) as it:
        with pytest.raises(NotNowError, match="drain"):
            await it.promotion.promote(1, by="uid 0")
        assert (await it.store.version(1)).state == "available"
        assert artifacts.current_version(paths.current) is None
        await it.promotion.promote(1, by="uid 0")
        assert workers.serving == 1


@pytest.mark.anyio
async def test_a_server_that_cannot_load_current_at_boot_makes_thord_go_back(paths: Paths) -> None:
    workers = StandIns(paths)
    async with learning(workers) as it:
        await it.promotion.promote(1, by="uid 0")
        workers.boot_server()
        await it.promotion.promote(2, by="uid 0")
        spoil(paths, 2)
        it.promotion.server_died()
        workers.script.server_up = True
        workers.serving = None
        workers.tell("server", Refused(to=UNASKED, version=2, reason="sha256 differs"))
        workers.tell("server", Ready())
        await until(lambda: workers.serving == 1)
        assert artifacts.current_version(paths.current) == 1
        assert (await it.store.version(2)).state == "quarantined"


@pytest.mark.anyio
async def test_a_lone_version_that_cannot_be_served_is_said_to_be_the_trouble(paths: Paths) -> None:
    workers = StandIns(paths, Script(server_up=False))
    async with learning(workers) as it:
        await it.promotion.promote(1, by="uid 0")
        for _ in range(DEATHS):
            it.promotion.server_died()
        await until(it.degradations.reasons)
        assert "version 000001 cannot be served" in it.degradations.reasons()[0]


# Killed between the steps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("server_up", "rollback"), list(itertools.product([True, False], repeat=2)))
def test_killed_at_every_moment_the_old_or_the_new_version_serves(
    tmp_path: Path, server_up: bool, rollback: bool
) -> None:
    target, before = (1, 2) if rollback else (3, 2)

    def life_of(paths: Paths):
        async def life(moment) -> None:
            async with learning(StandIns(paths, Script(server_up=server_up), moment)) as it:
                for number in (1, 2):
                    await it.promotion.promote(number, by="uid 0")
                moment("the swap begins")
                await (it.promotion.rollback(by="uid 0") if rollback else it.promotion.promote(3, by="uid 0"))

        return life

    moments = live(life_of(home_of_three(tmp_path / "calm")), None)
    assert moments is not None
    first = moments.index("the swap begins")
    found = []
    for number in range(first, len(moments)):
        paths = home_of_three(tmp_path / f"killed-{number}")
        assert live(life_of(paths), number) is None, "it was to be killed"
        found.append(artifacts.current_version(paths.current))
        check_second_life(paths, found[-1], rolled_back=rollback and found[-1] == target)
    turn = found.index(target)
    assert found == [before] * turn + [target] * (len(found) - turn), "there is one commit point"
    assert moments[first + turn - 1] == "after commit", "the intention is on disk before it"
    assert moments[first + turn] == ("commit asked" if server_up else "before transaction")


def check_second_life(paths: Paths, found: int | None, *, rolled_back: bool) -> None:
    """What a crash left is repaired: the version that ``current`` names serves, and the events say how it came."""
    assert found is not None
    verify(paths.version(found))

    async def second_life() -> None:
        workers = StandIns(paths)
        async with learning(workers) as it:
            assert await it.store.swap() is None
            workers.boot_server()
            await until(lambda: workers.serving == found)
            assert it.promotion.serving == found == artifacts.current_version(paths.current)
            kinds = [event.type for event in await it.store.newest_events(100)]
            assert kinds.count("version.rolled_back") == rolled_back
            assert kinds.count("version.promoted") == 2 + (found == 3)
            assert await rollback_policy.previous(it.store, found) == {1: None, 2: 1, 3: 2}[found]

    asyncio.run(second_life())
