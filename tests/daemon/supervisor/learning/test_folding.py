"""An adapter whose rank is used up becomes part of its base after its promotion, and serves as that; others do not."""

import asyncio

import pytest

from control.paths import Paths
from daemon.cycle import CycleState
from daemon.messages import Fold
from daemon.supervisor.learning.folding import USED_UP, Folding, is_due
from daemon.supervisor.learning.imports import FoldFailedError
from daemon.supervisor.store.records import Cycle, Version
from engine import artifacts
from tests.daemon.supervisor.stand_ins import Script, ended, learning, settled, with_conversations


@pytest.mark.parametrize(
    ("metrics", "due"),
    [
        ({"adapter_rank_used": USED_UP}, True),
        ({"adapter_rank_used": USED_UP - 0.01}, False),
        ({"bits_per_byte": 1.0}, False),
        ({}, False),
    ],
)
def test_what_has_used_up_its_rank_is_due(metrics, due: bool) -> None:
    assert is_due(metrics) is due


async def two_cycles(it, workers) -> None:
    for _ in range(2):
        await ended(it, (await it.cycles.trigger("api")).id)
        await settled(it)
        workers.ledger.add(4)


@pytest.mark.anyio
async def test_it_is_folded_once_it_serves_and_the_version_that_comes_of_it_takes_its_place(paths: Paths) -> None:
    workers = with_conversations(paths, Script(adapters=True, metrics={"adapter_rank_used": 0.97}))
    async with learning(workers) as it:
        await two_cycles(it, workers)
        while it.promotion.serving != 3:
            await asyncio.sleep(0.002)
        adapter, folded = await it.store.version(2), await it.store.version(3)
    assert [run.adapter for run in workers.runs if isinstance(run, Fold)] == [2]
    assert (adapter.base, folded.base, folded.parent) == (1, None, 2)
    assert folded.metrics == adapter.metrics
    assert artifacts.current_version(paths.current) == 3


@pytest.mark.anyio
async def test_the_rule_is_followed_along_a_lineage_and_each_promotion_counts_for_the_anchor_test(paths: Paths) -> None:
    """A folded version is the adapter that was judged, so counting does not begin anew from it."""
    workers = with_conversations(paths, Script(adapters=True, metrics={"adapter_rank_used": 0.97}))
    async with learning(workers) as it:
        for cycle, folded in ((1, None), (2, 3), (3, 5)):
            await ended(it, (await it.cycles.trigger("api")).id)
            await settled(it)
            workers.ledger.add(4)
            while folded is not None and it.anchor_test.anchor.serving != folded:
                await asyncio.sleep(0.002)
            assert it.promotion.serving == (folded or 1)
            assert it.anchor_test.anchor.promotions == cycle - 1
        bases = [(await it.store.version(number)).base for number in (2, 4)]
        assert it.anchor_test.anchor.audited == 1
    assert [run.adapter for run in workers.runs if isinstance(run, Fold)] == [2, 4]
    assert bases == [1, 3]


class SlowFolds:
    """In place of imports and anchor test: a fold lasts until it is let go."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[tuple[int, int]] = []
        self.go = asyncio.Event()

    async def fold(self, number: int, folded: int | None = None) -> Version:
        if folded is not None:
            self.ended.append((number, folded))
        else:
            self.begun.append(number)
            await self.go.wait()
        return Version.model_construct(number=number + 1)


@pytest.mark.anyio
async def test_one_fold_at_a_time_and_what_is_due_meanwhile_waits_for_the_next_promotion() -> None:
    slow = SlowFolds()
    folding = Folding(slow, slow)
    used_up = {"state": CycleState.PROMOTED, "metrics": {"adapter_rank_used": 1.0}}
    for version in (2, 4):
        folding.consider(Cycle.model_construct(version=version, **used_up))
        await asyncio.sleep(0)
    slow.go.set()
    while not slow.ended:
        await asyncio.sleep(0)
    folding.consider(Cycle.model_construct(version=6, **used_up))
    while len(slow.ended) < 2:
        await asyncio.sleep(0)
    await folding.close()
    assert (slow.begun, slow.ended) == ([2, 6], [(2, 3), (6, 7)])


@pytest.mark.anyio
async def test_by_hand_any_adapter_is_folded_and_what_is_none_is_refused(paths: Paths) -> None:
    workers = with_conversations(paths, Script(adapters=True, metrics={"adapter_rank_used": 0.2}))
    async with learning(workers) as it:
        await two_cycles(it, workers)
        assert not [run for run in workers.runs if isinstance(run, Fold)]
        folded = await it.imports.fold(2)
        assert (folded.number, folded.base, it.promotion.serving) == (3, None, 2)
        with pytest.raises(FoldFailedError, match=r"^version 000001 has weights of its own, not an adapter"):
            await it.imports.fold(1)
