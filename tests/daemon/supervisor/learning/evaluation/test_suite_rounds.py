"""Rounds of suites: what serves is measured between cycles, and what was found is kept."""

import asyncio

import pytest

from control.paths import Paths
from daemon.messages import Evaluate
from engine.config.evaluation import EvaluationSettings, SuiteSettings
from tests.daemon.supervisor.stand_ins import Script, ended, learning, settled, tables, with_conversations

WITH_A_SUITE = tables().model_copy(
    update={"evaluation": EvaluationSettings(suites={"exam": SuiteSettings(path="/srv/exam.jsonl")})}
)


@pytest.mark.anyio
async def test_what_serves_is_measured_and_noted(paths: Paths) -> None:
    workers = with_conversations(paths, Script())
    async with learning(workers, WITH_A_SUITE) as it:
        await it.suite_rounds.round()  # nothing serves
        await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
        await it.suite_rounds.round()
        asked = [run for run in workers.runs if isinstance(run, Evaluate) and run.suites_only]
        assert [(run.version, run.incumbent, run.decides) for run in asked] == [(1, None, False)]
        event = next(event for event in await it.store.newest_events(20) if event.type == "version.measured")
        assert event.data["version"] == "000001"
        assert event.data["metrics"].items() <= (await it.store.version(1)).metrics.items()


@pytest.mark.anyio
async def test_without_suites_and_beside_a_cycle_there_is_no_round(paths: Paths) -> None:
    workers = with_conversations(paths, Script())
    async with learning(workers) as it:
        await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
        it.degradations.begin("suites", "version 000001 could not be measured: the file is gone")
        await it.suite_rounds.round()
        assert not it.degradations.reasons()
    async with learning(workers, WITH_A_SUITE) as it:
        workers.ledger.add(4)
        workers.hold("trainer")
        cycle = await it.cycles.trigger("api")
        await workers.until_held("trainer")
        await it.suite_rounds.round()
        workers.release("trainer")
        await ended(it, cycle.id)
    assert not [run for run in workers.runs if isinstance(run, Evaluate) and run.suites_only]


@pytest.mark.anyio
async def test_a_round_gives_way_to_the_judgement_of_a_cycle(paths: Paths) -> None:
    workers = with_conversations(paths, Script())
    async with learning(workers, WITH_A_SUITE) as it:
        await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
        workers.ledger.add(4)
        workers.hold("evaluator")
        round_of_suites = asyncio.create_task(it.suite_rounds.round())
        await workers.until_held("evaluator")
        cycle = await it.cycles.trigger("api")
        await round_of_suites  # although nobody let it go on
        assert workers.stopped_runs == 1
        workers.release("evaluator")
        assert (await ended(it, cycle.id)).version == 2
        assert not [event for event in await it.store.newest_events(20) if event.type == "version.measured"]
        await settled(it)
        await it.suite_rounds.round()
        assert [event for event in await it.store.newest_events(20) if event.type == "version.measured"]
