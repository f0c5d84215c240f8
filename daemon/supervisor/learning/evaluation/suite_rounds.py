"""Measures the version in service on the suites of the settings, every hour or as often as they say.

What was measured before is known to the evaluator, so a round in which nothing changed costs only the loading of the
version. A round that falls into a cycle is left out: the cycle measures the suites itself. A round under way gives way
when a cycle or a person needs the evaluator, and the next one goes on where it stopped.
"""

import asyncio
from collections.abc import Callable

from pydantic import JsonValue

from control.paths import version_name
from daemon import background, log
from daemon.messages import Evaluate
from daemon.settings.sections import Tables
from daemon.supervisor.learning.evaluation.evaluations import Evaluations
from daemon.supervisor.learning.promotion import Promotion
from daemon.supervisor.processes.ports import CommandFailedError, WorkerLostError, WorkerUnavailableError
from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.store import Store

_SUBJECT = "suites"
"""Of the degradation."""
_logger = log.get(__name__)


class SuiteRounds:
    """One round after the other, in the background."""

    def __init__(
        self,
        store: Store,
        evaluations: Evaluations,
        promotion: Promotion,
        is_cycle_under_way: Callable[[], bool],
        tables: Callable[[], Tables],
        degradations: Degradations,
    ) -> None:
        self._store = store
        self._evaluations = evaluations
        self._promotion = promotion
        self._is_cycle_under_way = is_cycle_under_way
        self._tables = tables
        self._degradations = degradations
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to wait for the first round."""
        self._task = background.begin(self._go_on(), "rounds of suites")

    async def close(self) -> None:
        """Stop; a round under way is given up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def round(self) -> None:
        """Measure what serves on every suite, and note it with the version and as an event."""
        version, evaluation = self._promotion.serving, self._tables().evaluation
        if not evaluation.suites:
            self._degradations.end(_SUBJECT)
            return
        if version is None or self._is_cycle_under_way():
            return
        try:
            command = Evaluate(version=version, incumbent=None, cycle=None, suites_only=True)
            found = await self._evaluations.run_when_idle(command)
        except CommandFailedError as error:
            self._degradations.begin(_SUBJECT, f"version {version_name(version)} could not be measured: {error}")
            return
        except (WorkerLostError, WorkerUnavailableError) as error:
            _logger.warning("a round of suites was cut short", reason=str(error))
            return
        if found is None:
            _logger.info("a round of suites gave way to another evaluation", version=version_name(version))
            return
        self._degradations.end(_SUBJECT)
        metrics: dict[str, JsonValue] = dict(found.metrics)
        await retry_until_stored(lambda: self._store.add_metrics(version, found.metrics), self._degradations)
        event: dict[str, JsonValue] = {"version": version_name(version), "metrics": metrics}
        await retry_until_stored(lambda: self._store.note("version.measured", event), self._degradations)

    async def _go_on(self) -> None:
        while True:
            await self._pause()
            await self.round()

    async def _pause(self) -> None:
        """Until the next round; a change of the settings counts within a minute."""
        waited = 0.0
        while waited < self._tables().evaluation.suites_every_minutes:
            step = min(1.0, self._tables().evaluation.suites_every_minutes - waited)
            await asyncio.sleep(step * 60)
            waited += step
