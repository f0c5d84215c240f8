"""What the gate and the anchor test make of ten days of candidates whose true worth is known.

    python bench/study_gate.py [--runs N]

A candidate differs from the version in service by a true amount, and on each conversation by chance besides (standard
deviation 0.05 bits per byte). The gate sees 200 conversations, 50 of which no gate had read; an anchor test sees 200
that none ever reads. The gate's bounds are those of the normal distribution, which its bootstrap has with so many;
what is promoted and what is gone back from is decided by the functions of the service. Candidates that are *misled*
are better on what gates read before, and worse on all else.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from daemon.supervisor.learning.evaluation.anchor_test import Anchor, Difference, decide, promoted
from engine.config.evaluation import GateSettings

CYCLES = 480
READ, FRESH, SEALED, SPREAD = 200, 50, 200, 0.05
SETTINGS = GateSettings()
_BOUND = NormalDist().inv_cdf(SETTINGS.confidence)
"""Standard errors between a mean and its one-sided bound."""

Draw = Callable[[np.random.Generator], tuple[float, float]]
"""The true difference of a candidate, and that on what gates read before."""


def _same(value: Callable[[np.random.Generator], float]) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[float, float]:
        found = value(rng)
        return found, found

    return draw


KINDS: dict[str, Draw] = {
    "all equal": _same(lambda rng: 0.0),
    "all worse by 0.001": _same(lambda rng: 0.001),
    "mixed, standard deviation 0.002": _same(lambda rng: rng.normal(0.0, 0.002)),
    "all better by 0.003": _same(lambda rng: -0.003),
    "misled: better by 0.003, in truth worse by 0.002": lambda rng: (0.002, -0.003),
}


@dataclass
class Lineage:
    """What came of the cycles: differences are in bits per byte to the first version, below zero is better."""

    promotions: int = 0
    claimed: float = 0.0
    truth: float = 0.0
    worst: float = 0.0
    tests: int = 0
    went_back: int = 0


def simulate(draw: Draw, rng: np.random.Generator, *, guarded: bool) -> Lineage:
    """Run the cycles; not ``guarded``: without second look and anchor test."""
    found, anchor = Lineage(), Anchor(audited=0, serving=0)
    truths = {0: 0.0}
    for number in range(1, CYCLES + 1):
        true, on_read = draw(rng)
        fresh_sample = rng.normal(true, SPREAD, FRESH)
        sample = np.concatenate([fresh_sample, rng.normal(on_read, SPREAD, READ - FRESH)])
        difference, error = _measured(sample)
        if not difference + _BOUND * error < -SETTINGS.min_improvement:
            continue
        fresh, fresh_error = _measured(fresh_sample)
        if guarded and fresh - _BOUND * fresh_error > 0:
            continue
        before = anchor.serving
        anchor = promoted(anchor, before, number)
        truths[number] = truths[before or 0] + true
        found.promotions += 1
        found.claimed += difference
        if guarded and anchor.promotions >= SETTINGS.anchor_every:
            anchor = _tested(anchor, truths, rng, found)
        found.truth = truths[anchor.serving or 0]
        found.worst = max(found.worst, found.truth)
    return found


def _tested(anchor: Anchor, truths: dict[int, float], rng: np.random.Generator, found: Lineage) -> Anchor:
    serving, audited = anchor.serving or 0, anchor.audited or 0
    difference, error = _measured(rng.normal(truths[serving] - truths[audited], SPREAD, SEALED))
    lower, upper = difference - _BOUND * error, difference + _BOUND * error
    seen = Difference(conversations=SEALED, difference=difference, lower=lower, upper=upper)
    decision = decide(seen, SETTINGS.anchor_tolerance)
    found.tests += 1
    found.went_back += decision == "worse"
    return Anchor(
        audited=serving if decision == "better" else audited, serving=audited if decision == "worse" else serving
    )


def _measured(sample: np.ndarray) -> tuple[float, float]:
    return float(sample.mean()), float(sample.std(ddof=1) / math.sqrt(len(sample)))


def main() -> None:
    """Print the table of docs/development/studies.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50, help="lineages of each kind")
    runs = parser.parse_args().runs
    print("| candidates | guarded | promotions | claimed | truth | worst | tests | went back |")
    print("|---|---|---|---|---|---|---|---|")
    for name, draw in KINDS.items():
        for guarded in (False, True):
            rng = np.random.default_rng(0)
            found = [simulate(draw, rng, guarded=guarded) for _ in range(runs)]
            mean = {key: np.mean([getattr(one, key) for one in found]) for key in vars(found[0])}
            print(
                f"| {name} | {'yes' if guarded else 'no'} | {mean['promotions']:.1f} | {mean['claimed']:+.3f} "
                f"| {mean['truth']:+.3f} | {mean['worst']:+.3f} | {mean['tests']:.1f} | {mean['went_back']:.2f} |"
            )


if __name__ == "__main__":
    main()
