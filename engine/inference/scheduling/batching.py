"""What one iteration computes: which prompts advance by how much, and which answers get one more token."""

from collections.abc import Iterable
from dataclasses import dataclass

from engine.inference.requests import SequenceState

CHUNK = 128
"""Prompt tokens of one sequence in one forward pass."""
PREFILL_BUDGET = 256
"""Prompt tokens of all sequences in one iteration, so that a long prompt delays running answers by a bounded time."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """One iteration of one version."""

    prefill: tuple[tuple[SequenceState, int], ...]
    """Sequences in order of arrival, each with the number of its prompt tokens to read."""
    decode: tuple[SequenceState, ...]
    """Sequences that get one more token."""


def plan(running: Iterable[SequenceState], step: int) -> BatchPlan:
    """What to compute next for the sequences that have rows; chunks are padded to multiples of ``step``."""
    everyone = list(running)
    budget = PREFILL_BUDGET
    prefill: list[tuple[SequenceState, int]] = []
    reading: dict[int, SequenceState] = {}
    for sequence in everyone:
        length = min(CHUNK, len(sequence.prompt) - sequence.computed)
        if length > 0 and sequence.waits_for(reading.setdefault(id(sequence.prompt), sequence)):
            continue
        if length > 0 and (length + -length % step <= budget or not prefill):
            prefill.append((sequence, length))
            budget -= length + -length % step
    return BatchPlan(tuple(prefill), tuple(sequence for sequence in everyone if not sequence.prefilling))
