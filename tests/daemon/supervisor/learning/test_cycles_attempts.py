"""Steps of a cycle that were cut short are tried again, as long as that leads somewhere."""

import pytest

from control.paths import Paths
from daemon.cycle import CycleState
from daemon.messages import Train
from tests.daemon.supervisor.stand_ins import (
    STEPS,
    Script,
    StandIns,
    ended,
    learning,
    settled,
    tables,
    with_conversations,
)


@pytest.mark.anyio
async def test_a_trainer_killed_again_and_again_that_gets_further_never_fails_its_cycle(paths: Paths) -> None:
    script = Script(trainer=lambda run, step: "die" if step > run and run < STEPS else None)
    workers = with_conversations(paths, script)
    async with learning(workers, tables(attempts=2)) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
    assert cycle.state is CycleState.PROMOTED
    assert cycle.attempt == sum(isinstance(run, Train) for run in workers.runs) == STEPS


@pytest.mark.anyio
async def test_a_trainer_that_gets_nowhere_fails_the_cycle_after_the_attempts_allowed(paths: Paths) -> None:
    workers = with_conversations(paths, Script(trainer=lambda _, step: "die" if step == 1 else None))
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
    workers = with_conversations(paths, Script(trainer=lambda _, step: fate if step == 1 else None))
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
    assert cycle.state is CycleState.FAILED
    assert fate in (cycle.outcome or "")
    assert len(workers.runs) == runs
    assert workers.ledger.tries == [tries] * 5


@pytest.mark.anyio
async def test_a_server_without_room_is_asked_again(paths: Paths) -> None:
    workers = with_conversations(paths, Script(no_room=2))
    async with learning(workers) as it:
        cycle = await ended(it, (await it.cycles.trigger("api")).id)
    assert (cycle.state, cycle.attempt) == (CycleState.PROMOTED, 3)


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
