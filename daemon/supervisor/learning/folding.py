"""Folding by rule: an adapter whose rank is used up becomes part of its base, and the next cycle begins a new one.

A pure function decides, from what the run of a promoted version said of its adapter:

| of its rank the adapter uses | it is folded |
| ---------------------------- | ------------ |
| less than `USED_UP`          | no           |
| `USED_UP` or more            | yes          |

A fold that fails, or that a cycle under way forestalls, is tried again after the next promotion.
"""

import asyncio
from collections.abc import Mapping

from control.paths import version_name
from daemon import background, log
from daemon.cycle import CycleState
from daemon.supervisor.learning.evaluation.anchor_test import AnchorTest
from daemon.supervisor.learning.imports import FoldFailedError, Imports
from daemon.supervisor.learning.promotion import NotAllowedError, NotNowError, RefusedError
from daemon.supervisor.processes.ports import WorkerLostError, WorkerUnavailableError
from daemon.supervisor.store.records import Cycle
from daemon.supervisor.store.store import CycleUnderWayError, NoSuchRecordError, PurgedError, StoreUnavailableError

USED_UP = 0.9
"""Of the rank (`engine.adapters.rank`)."""
_METRIC = "adapter_rank_used"
_FAILURES = (
    FoldFailedError,
    CycleUnderWayError,
    NoSuchRecordError,
    PurgedError,
    NotAllowedError,
    NotNowError,
    RefusedError,
    WorkerLostError,
    WorkerUnavailableError,
    StoreUnavailableError,
)
_logger = log.get(__name__)


def is_due(metrics: Mapping[str, float]) -> bool:
    """Whether the adapter of a version with these metrics has used up its rank."""
    return metrics.get(_METRIC, 0.0) >= USED_UP


class Folding:
    """Folds the adapter in service, in the background, after a promotion that used up its rank."""

    def __init__(self, imports: Imports, anchor_test: AnchorTest) -> None:
        self._imports = imports
        self._anchor_test = anchor_test
        self._task: asyncio.Task[None] | None = None

    def consider(self, cycle: Cycle) -> None:
        """A cycle has ended: begin where its version is to be folded, unless another fold is under way."""
        if self._task is not None and not self._task.done():
            return
        if cycle.state is CycleState.PROMOTED and cycle.version is not None and is_due(cycle.metrics or {}):
            self._task = background.begin(self._fold(cycle.version), f"folding version {version_name(cycle.version)}")

    async def close(self) -> None:
        """Stop; what is not folded is considered again after the next promotion."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _fold(self, number: int) -> None:
        name = version_name(number)
        try:
            folded = await self._imports.fold(number)
            await self._anchor_test.fold(number, folded.number)
        except _FAILURES as error:
            _logger.warning("an adapter that has used up its rank was not folded", version=name, reason=str(error))
        else:
            _logger.info("an adapter used up its rank and was folded", version=name, into=version_name(folded.number))
