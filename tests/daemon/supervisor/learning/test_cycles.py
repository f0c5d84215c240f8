"""Cycles end as they should, whatever happens on the way."""

import asyncio
import contextlib
import resource
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.paths import Paths, at_home
from daemon.cycle import CycleState
from daemon.messages import Collect, Evaluate, Settle, Train, WorkerName
from daemon.supervisor.jobs import attempts
from daemon.supervisor.learning import candidates
from daemon.supervisor.learning.cycles import NotCancellableError
from daemon.supervisor.store import cycle_store
from daemon.supervisor.store.records import Cycle, CycleRequest
from daemon.supervisor.store.store import CycleUnderWayError, NoSuchRecordError
from daemon.workers.intake.ledger.database import open_database
from engine import artifacts
from engine.manifest import verify
from engine.variation import Variation
from tests.daemon.supervisor.stand_ins import STEPS, Ledger, Script, StandIns, ended, learning, live, settled, tables


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return at_home(tmp_path)


def stand_ins(paths: Paths, script: Script | None = None, *, conversations: int = 5) -> StandIns:
    it = StandIns(paths, script)
    it.ledger.add(conversations)
    return it


@pytest.mark.anyio
async def test_a_cycle_learns_what_came_in_and_its_version_serves(paths: Paths) -> None:
    workers = stand_ins(paths)
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
        kinds = [event.type for event in await it.store.newest_events(100)][::-1]
    assert (cycle.state, cycle.version, cycle.base_version, cycle.conversations) == (
        CycleState.PROMOTED,
        1,
        None,
        5,
    )
    assert cycle.gate == {"passed": True, "incumbent": None}
    assert workers.serving == artifacts.current_version(paths.current) == 1
    assert workers.ledger.learned == [[cycle.id]] * 5
    states = ["queued", "collecting", "training", "evaluating", "promoting", "promoted"]
    assert [kind for kind in kinds if kind.startswith("cycle.")] == [f"cycle.{state}" for state in states]


@pytest.mark.anyio
async def test_the_second_cycle_learns_from_the_first_and_is_judged_against_it(paths: Paths) -> None:
    workers = stand_ins(paths)
    async with learning(workers) as it:
        await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
        workers.ledger.add(4)
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
    trains = [run for run in workers.runs if isinstance(run, Train)]
    judged = [run for run in workers.runs if isinstance(run, Evaluate)]
    assert (cycle.conversations, cycle.version, cycle.base_version) == (4, 2, 1)
    assert [train.base for train in trains] == [None, 1]
    assert [evaluate.incumbent for evaluate in judged] == [None, 1]


@pytest.mark.anyio
async def test_too_little_data_is_said_in_numbers(paths: Paths) -> None:
    workers = stand_ins(paths, conversations=2)
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("schedule")).id)
        await settled(it)
    assert cycle.state is CycleState.SKIPPED
    assert cycle.outcome == "2 new conversations, 3 are needed (data.min_conversations)"
    assert (workers.ledger.new, workers.ledger.tries) == (2, [0, 0])


@pytest.mark.anyio
async def test_what_could_not_be_judged_is_not_trained(paths: Paths) -> None:
    workers = stand_ins(paths, conversations=4)
    workers.script.held_out = 4
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("schedule")).id)
        await settled(it)
    assert cycle.state is CycleState.SKIPPED
    assert "4 conversations are held out to judge by, 5 are needed (gate.min_conversations)" in str(cycle.outcome)
    assert (workers.ledger.new, workers.ledger.tries) == (4, [0, 0, 0, 0])


@pytest.mark.anyio
async def test_a_cycle_on_files_needs_no_minimum_and_takes_its_overrides(paths: Paths) -> None:
    workers = stand_ins(paths, conversations=0)
    request = CycleRequest(train_files=("/a.jsonl",), corpus=("/b.txt",), overrides={"epochs": 2})
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("manual by uid 0", request)).id)
    collect = next(message for message in workers.log if isinstance(message, Collect))
    assert collect.files == ("/a.jsonl", "/b.txt")
    assert workers.runs[0].overrides == {"epochs": 2}
    assert cycle.state is CycleState.PROMOTED
    assert cycle.to_json()["train_files"] == ["/a.jsonl"]


@pytest.mark.anyio
async def test_a_rejected_candidate_stays_for_inspection_and_gives_its_data_back(paths: Paths) -> None:
    workers = stand_ins(paths, Script(verdicts=[False]))
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
        version = await it.store.version(1)
    assert cycle.state is CycleState.REJECTED
    assert cycle.outcome == "no improvement: 0.0 bits per byte"
    assert (version.state, version.note) == ("rejected", cycle.outcome)
    assert version.metrics == {"loss": 0.5, "bits_per_byte": 2.0}
    assert artifacts.current_version(paths.current) is None
    assert (workers.ledger.new, workers.ledger.tries) == (5, [1] * 5)


@pytest.mark.anyio
async def test_what_came_to_nothing_is_never_repeated_unchanged(paths: Paths) -> None:
    async def story() -> list[Cycle]:
        workers = stand_ins(paths, Script(verdicts=[True, False, False], kind="worse"))
        cycles = []
        async with learning(workers) as it:
            for _ in range(5):
                workers.ledger.add(4)
                cycles.append(await ended(it, (await it.cycles.trigger("api")).id))
                await settled(it)
        said = [run.variation for run in workers.runs if isinstance(run, Train)]
        assert said == [
            Variation(),
            Variation(),
            Variation(rate=0.5, seed=1),
            Variation(rate=0.25, seed=2),
            Variation(),
        ]
        return cycles

    cycles = await story()
    assert [cycle.variation for cycle in cycles[:2]] == [None, None]
    assert cycles[2].to_json()["differs"] == "half the learning rate, another seed"
    assert cycles[2].outcome == "no improvement: 0.0 bits per byte"
    assert cycles[4].variation is None


@pytest.mark.anyio
async def test_a_run_that_diverged_is_not_judged_and_the_next_is_slower(paths: Paths) -> None:
    metrics = {"best_step": 0.0, "steps": 40.0, "best_validation_loss": 2.0, "validation_loss": 13.25}
    workers = stand_ins(paths, Script(metrics=metrics | {"learning_rate": 0.5}))
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
        workers.script.trainer = lambda _, step: "diverged at once" if step == 1 else None
        failed = await ended(it, (await it.cycles.trigger("api")).id)
        workers.script.metrics, workers.script.trainer = {"loss": 0.5}, lambda _run, _step: None
        last = await ended(it, (await it.cycles.trigger("api")).id)
        version = await it.store.version(1)
    assert (cycle.state, version.state) == (CycleState.REJECTED, "rejected")
    assert "the loss exploded" in str(cycle.outcome)
    assert "lower training.learning_rate (it was 0.5)" in str(cycle.outcome)
    assert (cycle.gate or {})["kind"] == (failed.gate or {})["kind"] == "diverged"
    assert (failed.state, failed.variation) == (CycleState.FAILED, Variation(rate=0.25, seed=1))
    assert (last.state, last.variation) == (CycleState.PROMOTED, Variation(rate=0.0625, seed=2))
    assert [run.version for run in workers.runs if isinstance(run, Evaluate)] == [last.version]


def test_the_same_weights_again_are_not_judged(paths: Paths) -> None:
    found = candidates.not_worth_judging({"best_step": 3.0}, "aa", base=7, base_sha256="aa")
    assert found is not None
    assert found[0] == "unchanged"
    assert "version 000007" in found[1]
    assert candidates.not_worth_judging({"best_step": 3.0}, "ab", base=7, base_sha256="aa") is None
    assert candidates.not_worth_judging({}, "aa", base=None, base_sha256="") is None


@pytest.mark.anyio
async def test_a_trainer_killed_again_and_again_that_gets_further_never_fails_its_cycle(paths: Paths) -> None:
    script = Script(trainer=lambda run, step: "die" if step > run and run < STEPS else None)
    workers = stand_ins(paths, script)
    async with learning(workers, tables(attempts=2)) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
    assert cycle.state is CycleState.PROMOTED
    assert cycle.attempt == sum(isinstance(run, Train) for run in workers.runs) == STEPS


@pytest.mark.anyio
async def test_a_trainer_that_gets_nowhere_fails_the_cycle_after_the_attempts_allowed(paths: Paths) -> None:
    workers = stand_ins(paths, Script(trainer=lambda _, step: "die" if step == 1 else None))
    async with learning(workers, tables(attempts=3)) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
    assert cycle.state is CycleState.FAILED
    assert "training got no further in 3 attempts" in (cycle.outcome or "")
    assert "killed by signal 9" in (cycle.outcome or "")
    assert sum(isinstance(run, Train) for run in workers.runs) == 3
    assert (workers.ledger.new, workers.ledger.tries) == (5, [1] * 5)


@pytest.mark.anyio
@pytest.mark.parametrize(("fate", "runs", "tries"), [("the loss is not a number", 1, 1), ("disk full", 3, 0)])
async def test_a_failure_is_tried_again_only_where_that_may_help(
    paths: Paths, fate: str, runs: int, tries: int
) -> None:
    workers = stand_ins(paths, Script(trainer=lambda _, step: fate if step == 1 else None))
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
    assert cycle.state is CycleState.FAILED
    assert fate in (cycle.outcome or "")
    assert len(workers.runs) == runs
    assert workers.ledger.tries == [tries] * 5


@pytest.mark.anyio
async def test_one_cycle_at_a_time(paths: Paths) -> None:
    workers = stand_ins(paths)
    async with learning(workers) as it:
        first = await it.cycles.trigger("api")
        with pytest.raises(CycleUnderWayError) as refused:
            await it.cycles.trigger("schedule")
        assert refused.value.cycle == first.id
        await ended(it, first.id)


@pytest.mark.anyio
@pytest.mark.parametrize("worker", ["intake", "trainer", "evaluator"])
async def test_cancelling_stops_the_worker_and_gives_the_data_back(paths: Paths, worker: WorkerName) -> None:
    workers = stand_ins(paths, Script(intake_up=worker != "intake"))
    async with learning(workers) as it:
        workers.hold(worker)
        cycle = await it.cycles.trigger("api")
        if worker == "intake":
            await workers.until_asked_in_vain()
        else:
            await workers.until_held(worker)
        cancelled = await it.cycles.cancel(cycle.id, "uid 7")
        workers.boot_intake()
        await settled(it)
        with pytest.raises(NotCancellableError):
            await it.cycles.cancel(cycle.id, "uid 7")
        with pytest.raises(NoSuchRecordError):
            await it.cycles.cancel(99, "uid 7")
    assert (cancelled.state, cancelled.outcome) == (CycleState.CANCELLED, "cancelled by uid 7")
    assert workers.stopped_runs == (worker != "intake")
    assert (workers.ledger.assigned, workers.ledger.tries) == (0, [0] * 5)


@pytest.mark.anyio
async def test_a_candidate_whose_incumbent_changed_is_judged_again(paths: Paths) -> None:
    workers = stand_ins(paths, Script(verdicts=[True, False, True, True]))
    async with learning(workers) as it:
        await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
        second = await ended(it, (await it.cycles.trigger("api", CycleRequest(train_files=("/x",)))).id)
        assert second.state is CycleState.REJECTED
        workers.hold("evaluator")
        third = await it.cycles.trigger("api", CycleRequest(train_files=("/x",)))
        await workers.until_held("evaluator")
        await it.promotion.promote(2, by="uid 0", force=True)
        workers.release("evaluator")
        third = await ended(it, third.id)
    judged = [run.incumbent for run in workers.runs if isinstance(run, Evaluate) and run.cycle == third.id]
    assert judged == [1, 2]
    assert (third.state, third.incumbent) == (CycleState.PROMOTED, 2)


@pytest.mark.anyio
async def test_a_version_that_fails_at_its_commit_fails_the_cycle(paths: Paths) -> None:
    workers = stand_ins(paths, Script(fails_to_flip=frozenset({1})))
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
        assert it.degradations.reasons() == []
    assert (cycle.state, cycle.outcome) == (
        CycleState.FAILED,
        "version 000001 cannot be served: not enough memory",
    )
    assert artifacts.current_version(paths.current) is None
    assert workers.ledger.new == 5


@pytest.mark.anyio
async def test_a_version_the_server_refuses_fails_the_cycle_and_is_quarantined(paths: Paths) -> None:
    workers = stand_ins(paths, Script(refuses={1: "weights are not finite"}))
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
        version = await it.store.version(1)
    assert cycle.state is CycleState.FAILED
    assert cycle.outcome == "version 000001 cannot be served: weights are not finite"
    assert version.state == "quarantined"
    assert artifacts.current_version(paths.current) is None


@pytest.mark.anyio
async def test_a_server_without_room_is_asked_again(paths: Paths) -> None:
    workers = stand_ins(paths, Script(no_room=2))
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
    assert (cycle.state, cycle.attempt) == (CycleState.PROMOTED, 3)


@pytest.mark.anyio
async def test_a_cycle_waits_for_an_intake_that_is_away(paths: Paths) -> None:
    workers = stand_ins(paths, Script(intake_up=False))
    async with learning(workers) as it:
        cycle = await it.cycles.trigger("api")
        await workers.until_asked_in_vain(3)
        assert (await it.store.cycle(cycle.id)).state is CycleState.COLLECTING
        workers.boot_intake()
        assert (await ended(it, cycle.id)).state is CycleState.PROMOTED


@pytest.mark.anyio
async def test_settling_is_sent_again_after_a_restart_until_it_is_answered(paths: Paths) -> None:
    async def first_life() -> None:
        workers = stand_ins(paths)
        async with learning(workers) as it:
            cycle = await it.cycles.trigger("api")
            async for line in it.cycles.follow(cycle.id):
                told = line.get("progress")
                if isinstance(told, dict) and told["state"] == "training":
                    workers.script.intake_up = False
            assert workers.ledger.assigned == 5

    async def second_life() -> None:
        workers = StandIns(paths)
        async with learning(workers) as it:
            await settled(it)
        assert workers.ledger.learned == [[1]] * 5
        assert sum(isinstance(message, Settle) for message in workers.log) == 1

    await first_life()
    await second_life()


@pytest.mark.anyio
async def test_a_store_that_was_lost_gives_no_number_again_and_no_conversation_up(paths: Paths) -> None:
    """Moving a damaged thord.db away, or putting last night's copy in its place, is what thord itself advises."""

    async def first_life() -> None:
        async with learning(stand_ins(paths)) as it:
            assert (await ended(it, (await it.cycles.trigger("api")).id)).id == 1
            await settled(it)

    def intake_writes(highest: int) -> None:
        with contextlib.closing(open_database(paths.ledger)) as ledger:
            for cycle, outcome in ((1, "learned"), (highest - 1, None), (highest, "returned")):
                ledger.execute("INSERT OR REPLACE INTO cycles VALUES (?, ?, NULL, '', NULL)", (cycle, outcome))

    async def second_life() -> None:
        workers = stand_ins(paths)
        async with learning(workers) as it:
            lost = await it.store.cycle(6)
            assert (lost.state, lost.outcome) == (CycleState.FAILED, cycle_store._LOST)
            await settled(it)
            assert Settle(cycle=6, learned=False, count_try=False, why=cycle_store._LOST) in workers.log
            assert (await ended(it, (await it.cycles.trigger("api")).id)).id == 9
            await settled(it)
        assert workers.ledger.learned == [[1]] * 5 + [[9]] * 5

    await first_life()
    for file in paths.state.glob("thord.db*"):
        file.unlink()
    intake_writes(highest=7)
    paths.run_folder(8).mkdir(parents=True)  # of files that somebody named: the ledger does not know it
    await second_life()


@pytest.mark.anyio
async def test_a_clean_stop_is_no_attempt_in_vain(paths: Paths) -> None:
    async def life(*, last: bool) -> None:
        workers = StandIns(paths)
        if not last:
            workers.hold("trainer")
        async with learning(workers, tables(attempts=1)) as it:
            if it.cycles.current is None:
                workers.ledger.add(5)
                await it.cycles.trigger("api")
            if last:
                assert (await ended(it, 1)).state is CycleState.PROMOTED
            else:
                await workers.until_held("trainer")

    for last in (False, False, False, True):
        await life(last=last)


@pytest.mark.anyio
async def test_following_tells_every_state_and_step_and_ends_with_the_cycle(paths: Paths) -> None:
    async with learning(stand_ins(paths)) as it:
        cycle = await it.cycles.trigger("api")
        lines = [line async for line in it.cycles.follow(cycle.id)]
        again = [line async for line in it.cycles.follow(cycle.id)]
        with pytest.raises(NoSuchRecordError):
            await anext(aiter(it.cycles.follow(99)))
    progress = [line["progress"] for line in lines[:-1]]
    steps = [told["step"] for told in progress if isinstance(told, dict) and "step" in told]
    assert steps == list(range(1, STEPS + 1))
    assert list(dict.fromkeys(told["state"] for told in progress if isinstance(told, dict)))[-2:] == [
        "training",
        "evaluating",
    ]
    assert lines[-1:] == again
    assert again[0]["cycle"]["state"] == "promoted"


def test_a_full_disk_holds_a_cycle_up_and_is_said_until_there_is_space(paths: Paths) -> None:
    async def life(_: object) -> None:
        workers = stand_ins(paths)
        async with learning(workers) as it:
            workers.hold("trainer")
            cycle = await it.cycles.trigger("api")
            await workers.until_held("trainer")
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # every write fails, as on a full disk
            workers.release("trainer")
            while not any("thord.db" in reason for reason in it.degradations.reasons()):
                await asyncio.sleep(0.005)  # the life has a limit
            assert (await it.store.cycle(cycle.id)).state is CycleState.TRAINING
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            assert (await ended(it, cycle.id)).state is CycleState.PROMOTED
            assert it.degradations.reasons() == []

    assert live(life, None) is not None


# Killed at any moment ------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("attempts_without_progress", "seconds"), [(0, 0.0), (1, 5.0), (2, 10.0), (7, 320.0), (10_000, 600.0)]
)
def test_attempts_that_lead_nowhere_are_further_and_further_apart_but_not_for_ever(
    attempts_without_progress: int, seconds: float
) -> None:
    assert attempts.pause_seconds(5.0, attempts_without_progress) == seconds


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
    stand_ins(calm)
    moments = live(life_of(calm), None)
    assert moments is not None
    check_end(calm)
    assert {"prepare answered", "commit asked", "commit answered"} <= set(moments)
    for number in range(len(moments)):
        paths = at_home(tmp_path / f"killed-{number}")
        stand_ins(paths)
        if live(life_of(paths), number) is None:
            check_between(paths)
            live(life_of(paths), None)
        check_end(paths)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.lists(st.integers(0, 40), min_size=2, max_size=6))
def test_killed_again_and_again_a_cycle_still_ends_once(tmp_path_factory: pytest.TempPathFactory, kills) -> None:
    paths = at_home(tmp_path_factory.mktemp("killed"))
    stand_ins(paths)
    for number in kills:
        live(life_of(paths), number)
        check_between(paths)
    live(life_of(paths), None)
    check_end(paths)
