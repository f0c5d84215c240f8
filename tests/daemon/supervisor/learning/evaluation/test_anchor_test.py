"""Anchor tests: what counts, what is decided, and how thord goes back."""

import asyncio
import shutil

import pytest

from control.paths import Paths
from daemon.messages import Evaluate
from daemon.supervisor.learning.evaluation.anchor_test import Anchor, Difference, decide, folded, promoted
from daemon.supervisor.learning.in_use import VersionsInUse
from engine import artifacts
from engine.config.evaluation import GateSettings
from tests.daemon.supervisor.stand_ins import Script, ended, learning, settled, tables, with_conversations

EVERY_TWO = tables().model_copy(update={"gate": GateSettings(anchor_every=2)})


@pytest.mark.parametrize(
    ("difference", "lower", "decision"),
    [
        (0.02, 0.01, "worse"),
        (0.02, -0.01, "stays"),
        (0.004, 0.001, "stays"),
        (0.0, -0.01, "stays"),
        (-0.001, -0.01, "better"),
        (-0.2, None, "stays"),
        (None, None, "stays"),
    ],
)
def test_the_decision_is_the_table(difference: float | None, lower: float | None, decision: str) -> None:
    found = Difference(conversations=200, difference=difference, lower=lower, upper=None)
    assert decide(found, 0.005) == decision


def test_promotions_count_until_somebody_else_brings_a_version() -> None:
    anchor = promoted(Anchor(), None, 1)
    assert (anchor.audited, anchor.promotions) == (1, 0)
    anchor = promoted(promoted(anchor, 1, 2), 2, 3)
    assert (anchor.audited, anchor.serving, anchor.promotions) == (1, 3, 2)
    beyond = folded(anchor, 3, 4)
    assert (beyond.audited, beyond.serving, beyond.promotions) == (1, 4, 2)
    assert promoted(beyond, 4, 5).promotions == 3
    assert folded(anchor, 2, 4) == anchor
    assert folded(promoted(Anchor(), None, 1), 1, 2).audited == 2
    anew = promoted(anchor, 7, 8)
    assert (anew.audited, anew.serving, anew.promotions) == (7, 8, 1)


async def cycles(it, workers, number: int) -> None:
    for _ in range(number):
        await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
        workers.ledger.add(4)


async def audited(it, times: int) -> None:
    while len(it.anchor_test.anchor.audits) < times:
        await asyncio.sleep(0.002)


@pytest.mark.anyio
async def test_a_lost_test_brings_the_audited_version_back_and_says_so(paths: Paths) -> None:
    workers = with_conversations(paths, Script(audits=[-0.01, 0.02]))
    async with learning(workers, EVERY_TWO) as it:
        await cycles(it, workers, 3)
        await audited(it, 1)
        assert (it.anchor_test.anchor.audited, it.promotion.serving) == (3, 3)
        await cycles(it, workers, 2)
        await audited(it, 2)
        assert (it.anchor_test.anchor.audited, it.promotion.serving) == (3, 3)
        assert artifacts.current_version(paths.current) == 3
        assert (await it.store.version(3)).previous == 2  # a roll-back does not lead to the one that was worse
        [reason] = it.degradations.reasons()
        assert "version 000005 was worse than version 000003 by +0.0200 bits per byte on 200 conversations" in reason
        asked = [run for run in workers.runs if isinstance(run, Evaluate) and run.sealed]
        assert [(run.version, run.incumbent, run.decides) for run in asked] == [(3, 1, False), (5, 3, False)]
        event = next(event for event in await it.store.newest_events(20) if event.type == "version.audited")
        assert (event.data["decision"], event.data["against"]) == ("worse", "000003")
    async with learning(workers, EVERY_TWO) as again:
        assert again.anchor_test.to_json()["version"] == "000003"
        assert len(again.degradations.reasons()) == 1
        await cycles(again, workers, 1)
        while again.anchor_test.anchor.promotions < 1:
            await asyncio.sleep(0.002)
        assert (again.degradations.reasons(), again.anchor_test.anchor.audited) == ([], 3)


@pytest.mark.anyio
async def test_losses_that_are_tolerated_do_not_add_up(paths: Paths) -> None:
    workers = with_conversations(paths, Script(audits=[0.004, 0.004]))
    async with learning(workers, EVERY_TWO) as it:
        await cycles(it, workers, 5)
        await audited(it, 2)
        asked = [(run.version, run.incumbent) for run in workers.runs if isinstance(run, Evaluate) and run.sealed]
    assert asked == [(3, 1), (5, 1)]


@pytest.mark.anyio
async def test_the_audited_version_keeps_its_weights(paths: Paths) -> None:
    workers = with_conversations(paths, Script())
    async with learning(workers, EVERY_TWO) as it:
        await cycles(it, workers, 2)
        use = VersionsInUse(it.promotion, it.cycles, it.evaluations, it.anchor_test, it.lanes)
        assert use.busy()[1] == "anchor tests compare with it"


@pytest.mark.anyio
async def test_a_promotion_that_thord_stopped_in_is_counted_at_the_next_start(paths: Paths) -> None:
    workers = with_conversations(paths, Script())
    async with learning(workers, EVERY_TWO) as it:
        await cycles(it, workers, 1)
        while it.anchor_test.anchor.serving != 1:
            await asyncio.sleep(0.002)
        before = it.anchor_test.anchor
        await cycles(it, workers, 1)
        while it.anchor_test.anchor.serving != 2:
            await asyncio.sleep(0.002)
        after = it.anchor_test.anchor
        await it.store.set_meta("anchor", before.model_dump_json())  # as if it had stopped before it counted
    async with learning(workers, EVERY_TWO) as again:
        assert again.anchor_test.anchor == after
        assert (after.audited, after.promotions) == (1, 1)


@pytest.mark.anyio
async def test_where_the_audited_version_cannot_serve_the_next_promotion_is_tested_at_once(paths: Paths) -> None:
    workers = with_conversations(paths, Script(audits=[0.02, 0.02]))
    async with learning(workers, EVERY_TWO) as it:
        await cycles(it, workers, 2)
        shutil.rmtree(paths.version(1))
        await cycles(it, workers, 1)
        await audited(it, 1)
        await settled(it)
        assert it.promotion.serving == 3
        while not it.degradations.reasons():
            await asyncio.sleep(0.002)
        assert "cannot serve" in it.degradations.reasons()[0]
        await cycles(it, workers, 1)
        await audited(it, 2)
        asked = [(run.version, run.incumbent) for run in workers.runs if isinstance(run, Evaluate) and run.sealed]
    assert asked == [(3, 1), (4, 1)]
