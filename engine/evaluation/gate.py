"""The gate: promoted only if surely better overall, and on no slice of the held-out set possibly worse than tolerated.

What "better" and "worse" are measured by is the table in `engine.evaluation.policy`. The gate fails closed: too few
conversations, a figure that is not a number, or a doubt end in rejection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from engine.config.evaluation import GateSettings
from engine.evaluation import budgets as budget_rules
from engine.evaluation.budgets import Budget
from engine.evaluation.comparison import Comparison, Pairing
from engine.evaluation.measures.measure import Measure, Terms
from engine.evaluation.measures.registry import MEASURES
from engine.evaluation.policy import POLICY, Policy
from engine.evaluation.results import Results

Kind = Literal["better", "worse", "not_shown", "part_worse", "forgot", "over_budget", "too_few", "no_figures"]
"""What the gate found: better; worse, and not by chance; neither shown; better, but a part of it may be worse; better,
but worse on what was held out earlier; better, but too slow or too large; too few conversations to tell; a figure that
is not a number."""


class Slice(Comparison):
    """A guarded slice of the held-out set. ``passed`` is null where it has too few conversations to be judged."""

    passed: bool | None


class Verdict(BaseModel):
    """What the gate decided, why, and every figure behind it."""

    model_config = ConfigDict(frozen=True)

    passed: bool
    kind: Kind
    reason: str
    against: str
    overall: Comparison
    slices: dict[str, Slice]
    settings: GateSettings
    fresh: Comparison | None = None
    """On what was not read when the incumbent was chosen; null where nothing is known of that."""
    earlier: Comparison | None = None
    """On what was read then: what the candidate forgot shows here."""
    sets: dict[str, Slice] = {}
    """Guarded sets, by the names of their suites."""
    budgets: dict[str, Budget] = {}


@dataclass(frozen=True)
class GuardedSet:
    """A set on which a candidate may be worse by no more than ``tolerance``: the terms of both versions, in pairs."""

    name: str
    measure: Measure
    tolerance: float
    candidate: Terms
    incumbent: Terms


def judge(
    candidate: Results,
    incumbent: Results,
    settings: GateSettings,
    against: str,
    policy: Policy = POLICY,
    fresh_C: NDArray[np.bool_] | None = None,
    sets: Sequence[GuardedSet] = (),
    budgets: Mapping[str, Budget] = MappingProxyType({}),
) -> Verdict:
    """Decide on a candidate; ``against`` names the incumbent for the reader of the reason.

    ``fresh_C`` says which of the C conversations no gate had read when the incumbent was chosen. It was chosen because
    it did well on the others, so only these tell what is true of both: they are the second look. The others tell what a
    candidate forgot. ``sets`` and ``budgets`` are further demands.

    Raises:
        KeyError: the policy names a measure that does not exist.
        ValueError: it names one that the gate cannot compare by.
    """
    primary = MEASURES[policy.primary]
    overall = Pairing.of(primary, candidate, incumbent, settings.bootstrap_resamples).compare(settings.confidence)
    guarded = _guarded(candidate, incumbent, settings, policy)
    slices = _judge_slices(guarded, settings)
    named = [_of_set(one, settings) for one in sets]
    found_on_sets = {one.name: _judge_set(one, settings) for one in named}
    fresh = earlier = None
    if fresh_C is not None:
        fresh = _on_part(primary, candidate, incumbent, fresh_C, settings)
        earlier = _on_part(primary, candidate, incumbent, ~fresh_C, settings)
    kind, reason = _decide(primary, overall, settings, against)
    if kind == "better":
        objection = (
            _part_objects(guarded, slices)
            or _part_objects(named, found_on_sets)
            or _earlier_objects(primary, earlier, settings)
            or _fresh_objects(primary, fresh, settings, against)
            or _budgets_object(budgets)
        )
        if objection is not None:
            kind, why = objection
            reason = f"better overall, but {why}; overall {reason.removeprefix('better: ')}"
    return Verdict(
        passed=kind == "better",
        kind=kind,
        reason=reason,
        against=against,
        overall=overall,
        slices=slices,
        settings=settings,
        fresh=fresh,
        earlier=earlier,
        sets=found_on_sets,
        budgets=dict(budgets),
    )


@dataclass(frozen=True)
class _Guarded:
    """A slice, and the measure by which it may be worse by no more than ``tolerance``."""

    name: str
    measure: Measure
    tolerance: float
    pairing: Pairing


def _guarded(candidate: Results, incumbent: Results, settings: GateSettings, policy: Policy) -> list[_Guarded]:
    """The slices that the policy guards. Those by another measure than the primary one have its name in theirs."""
    return [
        _Guarded(
            name=name if guard.measure == policy.primary else f"{name}: {guard.measure}",
            measure=MEASURES[guard.measure],
            tolerance=settings.tolerance if guard.tolerance is None else guard.tolerance,
            pairing=Pairing.of(
                MEASURES[guard.measure],
                candidate.slice(guard.by, name),
                incumbent.slice(guard.by, name),
                settings.bootstrap_resamples,
            ),
        )
        for guard in policy.guards
        for name in candidate.slice_sizes(guard.by)
    ]


def _judge_slices(guarded: Sequence[_Guarded], settings: GateSettings) -> dict[str, Slice]:
    """Each slice's worst bound against its tolerance, by Holm's step-down procedure.

    The k-th smallest of m p-values is held against (1 - confidence) / (m - k + 1); once one is above, the rest fail.
    """
    large_enough = [one for one in guarded if len(one.pairing) >= settings.min_conversations]
    p_values = {one.name: one.pairing.p_value(one.tolerance) for one in large_enough}
    judged: dict[str, Slice] = {}
    holding = True
    for rank, one in enumerate(sorted(large_enough, key=lambda one: p_values[one.name])):
        level = (1 - settings.confidence) / (len(p_values) - rank)
        holding = holding and p_values[one.name] <= level
        judged[one.name] = Slice(**one.pairing.compare(1 - level).model_dump(), passed=holding)
    for one in guarded:
        if one.name not in judged:
            judged[one.name] = Slice(**one.pairing.compare(settings.confidence).model_dump(), passed=None)
    return dict(sorted(judged.items()))


def _of_set(one: GuardedSet, settings: GateSettings) -> _Guarded:
    pairing = Pairing(one.measure, one.candidate, one.incumbent, settings.bootstrap_resamples)
    return _Guarded(one.name, one.measure, one.tolerance, pairing)


def _judge_set(one: _Guarded, settings: GateSettings) -> Slice:
    """A guarded set against its tolerance. Where *every* set must pass, each at full confidence is enough."""
    level = 1 - settings.confidence
    passed = one.pairing.p_value(one.tolerance) <= level
    return Slice(**one.pairing.compare(settings.confidence).model_dump(), passed=passed)


def _on_part(
    primary: Measure, candidate: Results, incumbent: Results, part_C: NDArray[np.bool_], settings: GateSettings
) -> Comparison | None:
    if not part_C.any():
        return None
    pairing = Pairing.of(primary, candidate.part(part_C), incumbent.part(part_C), settings.bootstrap_resamples)
    return pairing.compare(settings.confidence)


_Objection = tuple[Kind, str]
"""Why a candidate that is better overall is refused all the same."""


def _part_objects(guarded: Sequence[_Guarded], slices: Mapping[str, Slice]) -> _Objection | None:
    for one in guarded:
        if slices[one.name].passed is False:
            return "part_worse", _regression(one, slices[one.name])
    return None


def _earlier_objects(primary: Measure, earlier: Comparison | None, settings: GateSettings) -> _Objection | None:
    """Surely worse than before on what was held out earlier, and by more than is tolerated."""
    if earlier is None or earlier.conversations < settings.min_conversations or earlier.difference is None:
        return None
    at_best = _best(primary, earlier)
    if at_best is None or primary.worsening(at_best) <= 0:
        return None
    if primary.worsening(earlier.difference) <= settings.max_forgetting:
        return None
    return "forgot", (
        f"it forgot: {earlier.difference:+.4f} {primary.unit} on the {earlier.conversations} held out before, where "
        f"{settings.max_forgetting:+g} is tolerated (gate.max_forgetting)"
    )


def _fresh_objects(
    primary: Measure, fresh: Comparison | None, settings: GateSettings, against: str
) -> _Objection | None:
    """The second look."""
    if fresh is None or fresh.conversations < settings.min_conversations:
        return None
    at_best = _best(primary, fresh)
    if at_best is None or primary.worsening(at_best) <= 0:
        return None
    least = "at least" if primary.better == "lower" else "at most"
    return "part_worse", (
        f"worse on the {fresh.conversations} that no gate had read when {against} was chosen: {fresh.difference:+.4f} "
        f"{primary.unit}, {least} {at_best:+.4f}"
    )


def _budgets_object(budgets: Mapping[str, Budget]) -> _Objection | None:
    why = budget_rules.exceeded(budgets)
    return None if why is None else ("over_budget", why)


def _decide(primary: Measure, overall: Comparison, settings: GateSettings, against: str) -> tuple[Kind, str]:
    """The rule for all samples together, and a sentence that explains what it made of these figures."""
    count = f"{overall.conversations} held-out conversation{'' if overall.conversations == 1 else 's'}"
    if overall.conversations < settings.min_conversations:
        return "too_few", f"only {count} to judge by; gate.min_conversations asks for {settings.min_conversations}"
    if overall.candidate is None:
        return "no_figures", f"the candidate's {primary.unit} on {count} is not a finite number"
    if overall.incumbent is None:
        return (
            "no_figures",
            f"the {primary.unit} of {against} on {count} is not a finite number: nothing to compare with",
        )
    at_best, at_worst = _best(primary, overall), _worst(primary, overall)
    if overall.difference is None or at_best is None or at_worst is None:
        return "too_few", f"{count} are too few to tell chance from improvement"
    least, most = ("at least", "no more than") if primary.better == "lower" else ("at most", "no less than")
    figures = f"{overall.candidate:.4f} {primary.unit} against {overall.incumbent:.4f} of {against} on {count}"
    sure = f"{overall.difference:+.4f}; with {overall.confidence:.4g} confidence"
    surely = f"{figures} ({sure} {most} {at_worst:+.4f})"
    if primary.worsening(at_best) > 0:
        return "worse", f"worse: {figures} ({sure} {least} {at_best:+.4f})"
    if primary.worsening(at_worst) >= 0:
        return "not_shown", (
            f"not shown to be better: {figures} ({sure} between {overall.lower:+.4f} and {overall.upper:+.4f})"
        )
    if not primary.worsening(at_worst) < -settings.min_improvement:
        return "not_shown", (
            f"better, but not shown to be so by {settings.min_improvement:g}, which gate.min_improvement asks for: "
            f"{surely}"
        )
    return "better", f"better: {surely}"


def _regression(one: _Guarded, found: Slice) -> str:
    """What a slice that failed may have lost, in words."""
    at_worst = _worst(one.measure, found)
    change = "its change cannot be told" if found.difference is None else f"changed by {found.difference:+.4f}"
    bound = "without a bound" if at_worst is None else f"possibly by {at_worst:+.4f}"
    return (
        f"'{one.name}' may have become worse: {change} {one.measure.unit} on {found.conversations} conversations, "
        f"{bound}, where {one.measure.worsening(one.tolerance):+g} is tolerated"
    )


def _best(measure: Measure, found: Comparison) -> float | None:
    """The bound of the difference that is most in the candidate's favour."""
    return found.lower if measure.better == "lower" else found.upper


def _worst(measure: Measure, found: Comparison) -> float | None:
    """The bound of the difference that is least in the candidate's favour."""
    return found.upper if measure.better == "lower" else found.lower
