"""What training is to reach, by size and precision."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import harness
from race import Result


@dataclass(frozen=True)
class Goals:
    """How many times as fast as each contestant ours is to be, and its share of the peak of bare matrix products."""

    times: dict[str, float]
    of_peak: float = 0.0


_BF16 = {"Trainer": 1.5, "Trainer, allocator": 1.15, "bare loop": 1.2, "Trainer, ragged": 3.0}
GOALS = {
    ("llama-14m", "bf16"): Goals(_BF16, of_peak=0.60),
    ("gpt2-124m", "bf16"): Goals(_BF16),
    ("llama-14m", "float32"): Goals({"Trainer, allocator": 1.2, "Trainer, ragged, allocator": 3.0}, of_peak=0.85),
    ("gpt2-124m", "float32"): Goals({"Trainer, allocator": 1.1, "Trainer, ragged, allocator": 3.0}),
}


def judged(goals: Goals, results: Sequence[Result], seconds_per_token: float) -> Iterator[str]:
    """Each goal that these results tell of, and whether it was reached; ``seconds_per_token`` are at the peak."""
    ours = {result.entry.data: result.rate for result in reversed(results) if result.entry.script == "ours"}
    if goals.of_peak and "packed" in ours:
        yield _goal("ours, share of the peak", ours["packed"] * seconds_per_token, goals.of_peak)
    for result in results:
        least = goals.times.get(result.entry.name)
        if least and result.entry.data in ours:
            yield _goal(f"ours beside {result.entry.name}", ours[result.entry.data] / result.rate, least)


def _goal(what: str, found: float, least: float) -> str:
    return f"goal: {what} >= {least:g}: {found:.2f}, {harness.verdict(reached=found >= least)}"
