"""Contestants in turn, and the table of a case."""

import random
import time
from collections.abc import Sequence

import harness
import torch

from engine.inference.roofline import bandwidth
from serving import limits
from serving.cases import Case
from serving.contestants import Contestant
from serving.weights import Shape, draw


def measure(case: Case, contestants: Sequence[Contestant], shape: Shape, rounds: int, device: str) -> None:
    """Time the case, and print tokens a second, the share of what the machine allows, and which goals are reached."""
    running = [each for each in contestants if each.arrive is not None or not case.between]
    draws = {each.name: random.Random(2) for each in running}  # the same prompts for everybody, new ones each round
    seconds: dict[str, list[float]] = {each.name: [] for each in running}
    bandwidths, peaks = [], []
    for round_ in range(rounds + 1):
        bandwidths.append(bandwidth(torch.device(device)))
        peaks.append(limits.product_peak(shape))
        for each in running:
            taken = _seconds(case, each, shape, draws[each.name])
            if round_ and taken is not None:  # the first warms up
                seconds[each.name].append(taken)
    rates = {name: case.tokens(shape) / harness.median(times) for name, times in seconds.items() if times}
    most = max(peaks) if case.counts == "prompts" else harness.median(bandwidths)
    shares = {each.name: _needed(case, each, shape) * rates[each.name] / most for each in running if each.name in rates}
    unit = "GFLOP/s in float32" if case.counts == "prompts" else "GB/s"
    rows = [[name, f"{rate:.1f}", f"{shares[name]:.0%}"] for name, rate in rates.items()]
    harness.table(f"{case.name}, {device}", rows, ["", "tokens a second", f"of {most / 1e9:.0f} {unit}"])
    for goal in case.goals:
        if goal.ours in rates and goal.theirs in rates:
            ratio = rates[goal.ours] / rates[goal.theirs]
            verdict = harness.verdict(reached=ratio >= goal.ratio)
            print(f"{case.name}: {goal.ours} / {goal.theirs} = {ratio:.2f} (goal {goal.ratio}): {verdict}")


def _seconds(case: Case, contestant: Contestant, shape: Shape, draws: random.Random) -> float | None:
    """Of one round; null where a contestant does not say when its first token came."""
    prompt, answer = case.lengths(shape)
    prompts = draw(draws, shape, case.clients, prompt)
    if case.between:
        assert contestant.arrive is not None
        return contestant.arrive(prompts, case.arrivals(), answer)
    began = time.perf_counter()
    answers = contestant.generate(prompts, answer)
    ended = time.perf_counter()
    if not case.after_first:
        return ended - began
    return None if answers.first is None else ended - answers.first


def _needed(case: Case, contestant: Contestant, shape: Shape) -> float:
    """For each token: operations of a prompt's; bytes of an answer's, as if all clients were answered all the time."""
    if case.counts == "prompts":
        return limits.operations_of_prompts(shape)
    prompt, answer = case.lengths(shape)
    positions = case.clients * (prompt + answer // 2)
    return limits.bytes_of_step(contestant.weight_bytes, shape, positions) / case.clients
