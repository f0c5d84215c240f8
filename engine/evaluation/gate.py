"""The gate: promoted only if surely better overall, and on no part of the held-out set possibly worse than tolerated.

It fails closed: too few conversations, a figure that is not a number, or a doubt end in rejection. The measure is bits
per byte as a ratio of sums; candidate and incumbent must have been measured on the same conversations, in one order.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from engine.config.evaluation import GateSettings
from engine.evaluation.bootstrap import PairedBootstrap
from engine.evaluation.likelihood import Likelihood

Kind = Literal["better", "worse", "not_shown", "part_worse", "too_few", "no_figures"]
"""What the gate found: better; worse, and not by chance; neither shown; better, but a part of it may be worse; too few
conversations to tell; a figure that is not a number."""


class Comparison(BaseModel):
    """Candidate against incumbent in bits per byte. ``difference`` below zero: the candidate is better.

    ``lower`` and ``upper`` bound the true difference, each with ``confidence``. Null: it cannot be told.
    """

    model_config = ConfigDict(frozen=True)

    conversations: int
    candidate: float | None
    incumbent: float | None
    difference: float | None
    lower: float | None
    upper: float | None
    confidence: float


class Slice(Comparison):
    """A guarded part of the held-out set. ``passed`` is null where it has too few conversations to be judged."""

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


def judge(
    candidate: Likelihood, incumbent: Likelihood, slices: Sequence[str], settings: GateSettings, against: str
) -> Verdict:
    """Decide on a candidate.

    ``slices`` names the part of the held-out set that each conversation belongs to; ``against`` names the incumbent
    for the reader of the reason.
    """
    bootstrap = _resample(candidate, incumbent, settings.draws)
    overall = _compare(candidate, incumbent, bootstrap, settings.confidence)
    judged = _judge_slices(candidate, incumbent, slices, settings)
    kind, reason = _decide(overall, judged, settings, against)
    return Verdict(
        passed=kind == "better",
        kind=kind,
        reason=reason,
        against=against,
        overall=overall,
        slices=judged,
        settings=settings,
    )


def _decide(overall: Comparison, slices: dict[str, Slice], settings: GateSettings, against: str) -> tuple[Kind, str]:
    """The rule, and a sentence that explains what it made of these figures."""
    count = f"{overall.conversations} held-out conversation{'' if overall.conversations == 1 else 's'}"
    if overall.conversations < settings.min_conversations:
        return "too_few", f"only {count} to judge by; gate.min_conversations asks for {settings.min_conversations}"
    if overall.candidate is None:
        return "no_figures", f"the candidate's likelihood of {count} is not a finite number"
    if overall.incumbent is None:
        return (
            "no_figures",
            f"the likelihood of {count} under {against} is not a finite number: nothing to compare with",
        )
    if overall.difference is None or overall.upper is None or overall.lower is None:
        return "too_few", f"{count} are too few to tell chance from improvement"
    figures = f"{overall.candidate:.4f} bits per byte against {overall.incumbent:.4f} of {against} on {count}"
    sure = f"{overall.difference:+.4f}; with {overall.confidence:.4g} confidence"
    at_most = f"{figures} ({sure} no more than {overall.upper:+.4f})"
    if overall.lower > 0:
        return "worse", f"worse: {figures} ({sure} at least {overall.lower:+.4f})"
    if overall.upper >= 0:
        return "not_shown", (
            f"not shown to be better: {figures} ({sure} between {overall.lower:+.4f} and {overall.upper:+.4f})"
        )
    if not overall.upper < -settings.min_improvement:
        return "not_shown", (
            f"better, but not shown to be so by {settings.min_improvement:g}, which gate.min_improvement asks for: "
            f"{at_most}"
        )
    for name, part in slices.items():
        if part.passed is False:
            change = "its change cannot be told" if part.difference is None else f"changed by {part.difference:+.4f}"
            bound = "without a bound" if part.upper is None else f"possibly by {part.upper:+.4f}"
            return "part_worse", (
                f"better overall, but '{name}' may have become worse: {change} bits per byte on {part.conversations} "
                f"conversations, {bound}, where {settings.tolerance:+g} is tolerated; overall {at_most}"
            )
    return "better", f"better: {at_most}"


def _judge_slices(
    candidate: Likelihood, incumbent: Likelihood, slices: Sequence[str], settings: GateSettings
) -> dict[str, Slice]:
    """Each part's upper bound against the tolerance, by Holm's step-down procedure.

    The k-th smallest of m p-values is held against (1 - confidence) / (m - k + 1); once one is above, the rest fail.
    """
    names_C = np.array(slices, dtype=np.str_)
    parts = {
        str(name): (candidate.part(names_C == name), incumbent.part(names_C == name)) for name in np.unique(names_C)
    }
    bootstraps = {name: _resample(*pair, settings.draws) for name, pair in parts.items()}
    p_values = {
        name: bootstraps[name].p_value(settings.tolerance)
        for name, (part, _) in parts.items()
        if len(part.nats_C) >= settings.min_conversations
    }
    judged: dict[str, Slice] = {}
    holding = True
    for rank, (name, p_value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        level = (1 - settings.confidence) / (len(p_values) - rank)
        holding = holding and p_value <= level
        compared = _compare(*parts[name], bootstraps[name], 1 - level)
        judged[name] = Slice(**compared.model_dump(), passed=holding)
    for name in parts.keys() - judged.keys():
        compared = _compare(*parts[name], bootstraps[name], settings.confidence)
        judged[name] = Slice(**compared.model_dump(), passed=None)
    return dict(sorted(judged.items()))


def _resample(candidate: Likelihood, incumbent: Likelihood, draws: int) -> PairedBootstrap:
    """The bootstrap of the difference in bits per byte, with one fixed seed: a judgement can be repeated."""
    return PairedBootstrap((candidate.nats_C - incumbent.nats_C) / math.log(2), candidate.bytes_C, draws)


def _compare(candidate: Likelihood, incumbent: Likelihood, bootstrap: PairedBootstrap, confidence: float) -> Comparison:
    return Comparison(
        conversations=len(candidate.nats_C),
        candidate=_finite(candidate.bits_per_byte),
        incumbent=_finite(incumbent.bits_per_byte),
        difference=_finite(bootstrap.difference),
        lower=_finite(bootstrap.lower(confidence)),
        upper=_finite(bootstrap.upper(confidence)),
        confidence=confidence,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
