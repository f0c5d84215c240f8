"""The anchor test: whether many promotions together did harm that no gate saw.

A gate that asks for 95 % confidence lets one equal candidate in twenty pass, and now and then a worse one. So after
every ``gate.anchor_every`` promotions the version in service is compared with the best audited one, on conversations
that no gate reads. Pure functions decide:

| on the sealed conversations, the version in service is                        | then                           |
| ----------------------------------------------------------------------------- | ------------------------------ |
| surely worse, and by more than ``gate.anchor_tolerance``                      | the audited one serves again   |
| better, however little                                                        | it is the audited one from now |
| neither                                                                       | the audited one stays          |

| before its promotion there served           | then                                                         |
| ------------------------------------------- | ------------------------------------------------------------ |
| the version of the promotion before         | one more promotion counts                                    |
| that one, folded by rule: the same model    | one more promotion counts                                    |
| another: a person brought it                | that one is the audited one, and counting begins anew        |
| none                                        | it is itself the audited one                                 |

As the audited version changes only for a better one, tolerated losses do not add up. A test that cannot be made,
because too few conversations are sealed or the evaluator fails, is made after the next promotion. The service is
degraded from a lost test to the next promotion.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from control.paths import version_name
from daemon import background, log
from daemon.clock import utc_now
from daemon.cycle import CycleState
from daemon.messages import Evaluate
from daemon.settings.sections import Tables
from daemon.supervisor.learning.evaluation.evaluations import Evaluations
from daemon.supervisor.learning.promotion import (
    IncumbentChangedError,
    NotAllowedError,
    NotNowError,
    Promotion,
    RefusedError,
)
from daemon.supervisor.processes.ports import CommandFailedError, WorkerLostError, WorkerUnavailableError
from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.records import Cycle, name_or_null
from daemon.supervisor.store.store import NoSuchRecordError, PurgedError, Store

Decision = Literal["worse", "better", "stays"]
_KEY = "anchor"
"""Of ``meta``."""
_SUBJECT = "anchor"
"""Of the degradation."""
_KEPT = 100
"""Audits that ``status`` shows; the events have all."""
_CANNOT_GO_BACK = (NoSuchRecordError, PurgedError, NotAllowedError, RefusedError, NotNowError)
_logger = log.get(__name__)


class Difference(BaseModel):
    """What the evaluator found on the sealed conversations, in bits per byte; below zero is better."""

    model_config = ConfigDict(frozen=True)

    conversations: int
    difference: float | None
    lower: float | None
    upper: float | None


class Audit(Difference):
    """One anchor test: ``version`` served, ``against`` was the best audited one."""

    at: str
    version: str
    against: str
    decision: Decision


class Anchor(BaseModel):
    """What is known of the lineage in service.

    Attributes:
        audited: the best version by the anchor tests.
        serving: the version of the last promotion.
        promotions: since the last test.
        audits: the last tests, oldest first.
        trouble: why thord went back, or cannot; null again with the next promotion.
    """

    model_config = ConfigDict(frozen=True)

    audited: int | None = None
    serving: int | None = None
    promotions: int = 0
    audits: tuple[Audit, ...] = ()
    trouble: str | None = None

    @property
    def must_test(self) -> bool:
        """A test was lost, and the audited version could not serve: the next promotion is tested at once."""
        return self.trouble is not None and self.serving != self.audited


def promoted(anchor: Anchor, before: int | None, version: int) -> Anchor:
    """The anchor after a gate promoted ``version`` in place of ``before``: the second table."""
    if before is not None and before == anchor.serving:
        return anchor.model_copy(update={"serving": version, "promotions": anchor.promotions + 1, "trouble": None})
    start = version if before is None else before
    return Anchor(audited=start, serving=version, promotions=int(start != version), audits=anchor.audits)


def folded(anchor: Anchor, version: int, into: int) -> Anchor:
    """The anchor after ``version`` was folded, and the same model serves as version ``into``."""
    if version != anchor.serving:
        return anchor
    audited = into if anchor.audited == version else anchor.audited
    return anchor.model_copy(update={"audited": audited, "serving": into})


def decide(found: Difference, tolerance: float) -> Decision:
    """What an anchor test comes to: the first table."""
    if found.difference is None or found.lower is None:
        return "stays"
    if found.lower > 0 and found.difference > tolerance:
        return "worse"
    return "better" if found.difference < 0 else "stays"


class AnchorTest:
    """Makes the anchor tests, in the background, after promotions."""

    def __init__(
        self,
        store: Store,
        evaluations: Evaluations,
        promotion: Promotion,
        tables: Callable[[], Tables],
        degradations: Degradations,
    ) -> None:
        self.anchor = Anchor()
        self._store = store
        self._evaluations = evaluations
        self._promotion = promotion
        self._tables = tables
        self._degradations = degradations
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def recover(self) -> None:
        """Read what was known before this start."""
        kept = await retry_until_stored(lambda: self._store.meta(_KEY), self._degradations)
        try:
            self.anchor = Anchor() if kept is None else Anchor.model_validate_json(kept)
        except ValidationError:
            _logger.warning("what was known of the audited version cannot be read; the next promotion begins anew")
        await self._count_what_was_missed()
        if self.anchor.trouble is not None:
            self._degradations.begin(_SUBJECT, self.anchor.trouble)

    async def _count_what_was_missed(self) -> None:
        """Count the promotion that thord stopped in: otherwise the next one would begin anew, from an untested one."""
        serving, before = self._promotion.serving, self.anchor.serving
        if serving is None or before is None or serving == before:
            return
        with contextlib.suppress(NoSuchRecordError):
            version = await self._store.version(serving)
            cycle = None if version.cycle is None else await self._store.cycle(version.cycle)
            if cycle is not None and cycle.state is CycleState.PROMOTED and cycle.incumbent == before:
                await self._keep(promoted(self.anchor, before, serving))

    def consider(self, cycle: Cycle) -> None:
        """A cycle has ended: count its promotion, and begin a test where one is due."""
        if cycle.state is CycleState.PROMOTED and cycle.version is not None:
            task = background.begin(self._count(cycle, cycle.version), f"anchor test after cycle {cycle.id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def fold(self, version: int, into: int) -> None:
        """Put ``into``, which is ``version`` folded, into service in its place, once no test of it is under way.

        Raises:
            NotAllowedError: as `Promotion.promote`, and the others of it.
        """
        async with self._one_at_a_time:
            if self._promotion.serving != version:
                return
            await self._promotion.promote(into, by=f"the rule that folds version {version_name(version)}")
            await self._keep(folded(self.anchor, version, into))

    async def close(self) -> None:
        """Stop; a test that is due is made after the next promotion."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def to_json(self) -> dict[str, JsonValue]:
        """The audited version and the tests, as clients see them."""
        return {
            "version": name_or_null(self.anchor.audited),
            "promotions_since": self.anchor.promotions,
            "audits": [audit.model_dump(mode="json") for audit in self.anchor.audits],
        }

    async def _count(self, cycle: Cycle, version: int) -> None:
        async with self._one_at_a_time:
            if self.anchor.serving == version:
                return  # it was counted at the start
            must = self.anchor.must_test
            begun = promoted(self.anchor, cycle.incumbent, version)
            self._degradations.end(_SUBJECT)
            await self._keep(begun)
            due = must or begun.promotions >= self._tables().gate.anchor_every
            if due and begun.audited is not None and self._promotion.serving == version:
                await self._test(cycle, version, begun.audited)

    async def _test(self, cycle: Cycle, version: int, audited: int) -> None:
        command = Evaluate(version=version, incumbent=audited, cycle=cycle.id, sealed=True)
        try:
            answer = await self._evaluations.run(command)
            found = Difference.model_validate(answer.gate.get("overall"))
        except (CommandFailedError, WorkerLostError, WorkerUnavailableError, ValidationError) as error:
            _logger.warning("the anchor test could not be made", version=version_name(version), reason=str(error))
            return
        if self._promotion.serving != version:
            return  # somebody brought another one into service meanwhile
        decision = decide(found, self._tables().gate.anchor_tolerance)
        audit = Audit(
            **found.model_dump(),
            at=utc_now(),
            version=version_name(version),
            against=version_name(audited),
            decision=decision,
        )
        done = self.anchor.model_copy(update={"promotions": 0, "audits": (*self.anchor.audits, audit)[-_KEPT:]})
        if decision == "better":
            done = done.model_copy(update={"audited": version})
        elif decision == "worse":
            done = await self._go_back(done, version, audited, audit)
        await self._keep(done, audit)

    async def _go_back(self, anchor: Anchor, lost_by: int, audited: int, audit: Audit) -> Anchor:
        """Bring the audited version into service; where that fails, the next promotion is followed by a test again."""
        lost = (
            f"version {audit.version} was worse than version {audit.against} by {audit.difference:+.4f} bits per byte "
            f"on {audit.conversations} conversations that no gate reads"
        )
        try:
            await retry_until_stored(
                lambda: self._promotion.go_back(lost_by, audited, by="the anchor test"), self._degradations
            )
        except IncumbentChangedError:
            return anchor  # somebody brought another one into service meanwhile
        except _CANNOT_GO_BACK as error:
            trouble = f"{lost}, but version {audit.against} cannot serve: {error}"
            after: dict[str, int | str] = {"trouble": trouble}
        else:
            trouble = f"{lost}, so version {audit.against} serves again"
            after = {"serving": audited, "trouble": trouble}
        self._degradations.begin(_SUBJECT, trouble)
        return anchor.model_copy(update=after)

    async def _keep(self, anchor: Anchor, audit: Audit | None = None) -> None:
        self.anchor = anchor
        kept = anchor.model_dump_json()
        if audit is None:
            await retry_until_stored(lambda: self._store.set_meta(_KEY, kept), self._degradations)
            return
        data = audit.model_dump(mode="json")
        await retry_until_stored(
            lambda: self._store.note("version.audited", data, noting=(_KEY, kept)), self._degradations
        )
