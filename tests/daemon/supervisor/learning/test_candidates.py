"""Which candidates are judged, and what the next cycle does otherwise after one that came to nothing."""

import pytest

from control.paths import Paths
from daemon.cycle import CycleState
from daemon.messages import Evaluate, Train
from daemon.supervisor.learning import candidates
from daemon.supervisor.store.records import Cycle, CycleRequest
from engine.variation import Variation
from tests.daemon.supervisor.stand_ins import Script, ended, learning, settled, with_conversations


@pytest.mark.anyio
async def test_what_came_to_nothing_is_never_repeated_unchanged(paths: Paths) -> None:
    async def story() -> list[Cycle]:
        workers = with_conversations(paths, Script(verdicts=[True, False, False], kind="worse"))
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
    workers = with_conversations(paths, Script(metrics=metrics | {"learning_rate": 0.5}))
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
async def test_a_candidate_whose_incumbent_changed_is_judged_again(paths: Paths) -> None:
    workers = with_conversations(paths, Script(verdicts=[True, False, True, True]))
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
