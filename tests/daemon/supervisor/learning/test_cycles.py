"""Cycles end as they should, whatever happens on the way."""

import asyncio
import contextlib
import resource

import pytest

from control.paths import Paths
from daemon.cycle import CycleState
from daemon.messages import Collect, Evaluate, Settle, Train, WorkerName
from daemon.supervisor.learning.cycles import NotCancellableError
from daemon.supervisor.store import cycle_store
from daemon.supervisor.store.records import CycleRequest
from daemon.supervisor.store.store import CycleUnderWayError, NoSuchRecordError
from daemon.workers.intake.ledger.database import open_database
from engine import artifacts
from engine.config.evaluation import GateSettings
from tests.daemon.supervisor.lives import live
from tests.daemon.supervisor.stand_ins import (
    STEPS,
    Script,
    ended,
    learning,
    settled,
    tables,
    with_conversations,
)


@pytest.mark.anyio
async def test_a_cycle_learns_what_came_in_and_its_version_serves(paths: Paths) -> None:
    workers = with_conversations(paths)
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
    workers = with_conversations(paths)
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
    workers = with_conversations(paths, conversations=2)
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("schedule")).id)
        await settled(it)
    assert cycle.state is CycleState.SKIPPED
    assert cycle.outcome == "2 new conversations, 3 are needed (data.min_conversations)"
    assert (workers.ledger.new, workers.ledger.tries) == (2, [0, 0])


@pytest.mark.anyio
async def test_what_could_not_be_judged_is_not_trained(paths: Paths) -> None:
    workers = with_conversations(paths, conversations=4)
    workers.script.held_out = 4
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("schedule")).id)
        await settled(it)
    assert cycle.state is CycleState.SKIPPED
    assert "4 conversations are held out for evaluation, 5 are needed (gate.min_conversations)" in str(cycle.outcome)
    assert (workers.ledger.new, workers.ledger.tries) == (4, [0, 0, 0, 0])


@pytest.mark.anyio
async def test_a_cycle_on_files_needs_no_minimum_and_takes_its_overrides(paths: Paths) -> None:
    workers = with_conversations(paths, conversations=0)
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
    workers = with_conversations(paths, Script(verdicts=[False]))
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
async def test_in_shadow_mode_a_candidate_that_passes_is_left_to_a_person(paths: Paths) -> None:
    workers = with_conversations(paths, Script())
    shadow = tables().model_copy(update={"gate": GateSettings(mode="shadow")})
    async with learning(workers, shadow) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
        assert (cycle.state, it.promotion.serving) == (CycleState.REJECTED, None)
        assert "passed in shadow mode (gate.mode)" in (cycle.outcome or "")
        assert "thorctl promote 000001" in (cycle.outcome or "")
        assert workers.ledger.new > 0  # what it learned is learned again, by whatever comes to serve
        await it.promotion.promote(1, by="a person")
        assert it.promotion.serving == 1


@pytest.mark.anyio
async def test_one_cycle_at_a_time(paths: Paths) -> None:
    workers = with_conversations(paths)
    async with learning(workers) as it:
        first = await it.cycles.trigger("api")
        with pytest.raises(CycleUnderWayError) as refused:
            await it.cycles.trigger("schedule")
        assert refused.value.cycle == first.id
        await ended(it, first.id)


@pytest.mark.anyio
@pytest.mark.parametrize("worker", ["intake", "trainer", "evaluator"])
async def test_cancelling_stops_the_worker_and_gives_the_data_back(paths: Paths, worker: WorkerName) -> None:
    workers = with_conversations(paths, Script(intake_up=worker != "intake"))
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
async def test_a_version_that_fails_at_its_commit_fails_the_cycle(paths: Paths) -> None:
    workers = with_conversations(paths, Script(fails_to_flip=frozenset({1})))
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
    workers = with_conversations(paths, Script(refuses={1: "weights are not finite"}))
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
        version = await it.store.version(1)
    assert cycle.state is CycleState.FAILED
    assert cycle.outcome == "version 000001 cannot be served: weights are not finite"
    assert version.state == "quarantined"
    assert artifacts.current_version(paths.current) is None


@pytest.mark.anyio
async def test_a_cycle_waits_for_an_intake_that_is_away(paths: Paths) -> None:
    workers = with_conversations(paths, Script(intake_up=False))
    async with learning(workers) as it:
        cycle = await it.cycles.trigger("api")
        await workers.until_asked_in_vain(3)
        assert (await it.store.cycle(cycle.id)).state is CycleState.COLLECTING
        workers.boot_intake()
        assert (await ended(it, cycle.id)).state is CycleState.PROMOTED


@pytest.mark.anyio
async def test_a_store_that_was_lost_gives_no_number_again_and_no_conversation_up(paths: Paths) -> None:
    """Moving a damaged thord.db away, or putting last night's copy in its place, is what thord itself advises."""

    async def first_life() -> None:
        async with learning(with_conversations(paths)) as it:
            assert (await ended(it, (await it.cycles.trigger("api")).id)).id == 1
            await settled(it)

    def intake_writes(highest: int) -> None:
        with contextlib.closing(open_database(paths.ledger)) as ledger:
            for cycle, outcome in ((1, "learned"), (highest - 1, None), (highest, "returned")):
                ledger.execute("INSERT OR REPLACE INTO cycles VALUES (?, ?, NULL, '', NULL)", (cycle, outcome))

    async def second_life() -> None:
        workers = with_conversations(paths)
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
async def test_following_tells_every_state_and_step_and_ends_with_the_cycle(paths: Paths) -> None:
    async with learning(with_conversations(paths)) as it:
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
        workers = with_conversations(paths)
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
