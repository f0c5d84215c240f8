"""Versions that may not be removed now, because the server, a swap, a cycle or an evaluation uses them."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from daemon.supervisor.jobs.lane import Lane
from daemon.supervisor.learning.cycles import Cycles
from daemon.supervisor.learning.evaluation.anchor_test import AnchorTest
from daemon.supervisor.learning.evaluation.evaluations import Evaluations
from daemon.supervisor.learning.promotion import Promotion


class VersionsInUse:
    """Knows who uses which version; implements `retention.ports.Use`."""

    def __init__(
        self,
        promotion: Promotion,
        cycles: Cycles,
        evaluations: Evaluations,
        anchor_test: AnchorTest,
        lanes: Sequence[Lane],
    ) -> None:
        self._promotion = promotion
        self._cycles = cycles
        self._evaluations = evaluations
        self._anchor_test = anchor_test
        self._lanes = lanes

    @property
    def serving(self) -> int | None:
        """The version that serves, or null."""
        return self._promotion.serving

    def busy(self) -> dict[int, str]:
        """The versions, each with what is done with it."""
        busy = dict.fromkeys(self._evaluations.judging, "it is being evaluated")
        if (audited := self._anchor_test.anchor.audited) is not None:
            busy[audited] = "anchor tests compare with it"
        if cycle := self._cycles.current:
            for number in (cycle.request.base, cycle.base_version, cycle.version, cycle.incumbent):
                if number is not None:
                    busy[number] = f"cycle {cycle.id} is under way with it"
        for lane in self._lanes:
            if (job := lane.current) is not None and (base := job.request.get("base")) is not None:
                busy[int(str(base))] = f"job {job.id} is under way with it"
            if job is not None and job.version is not None:
                busy[job.version] = f"job {job.id} is under way with it"
        busy |= dict.fromkeys(self._promotion.swapping, "it is being promoted")
        needed = set(self._promotion.resident) - set(self._promotion.kept)
        busy |= dict.fromkeys(needed, "the server holds it in memory")
        if self.serving is not None:
            busy[self.serving] = "it serves"
        return busy

    def removed(self, version: int) -> None:
        """As the Protocol."""
        self._promotion.drop(version)

    def still(self) -> AbstractAsyncContextManager[None]:
        """Between swaps: none begins before the block ends."""
        return self._promotion.still()
