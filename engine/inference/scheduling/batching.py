"""What one iteration computes: which prompts advance by how much, and which answers get one more token."""

from collections.abc import Sequence
from typing import NamedTuple

from engine.inference.requests import SequenceState

CHUNK = 128
"""Prompt tokens of one sequence in one forward pass."""
PREFILL_BUDGET = 256
"""Prompt tokens of all sequences in one iteration, so that a long prompt delays running answers by a bounded time."""


class BatchPlan(NamedTuple):
    """One iteration of one version."""

    prefill: Sequence[tuple[SequenceState, int]]
    """Sequences in order of arrival, each with the number of tokens to read: of its prompt, or of a candidate."""
    decode: Sequence[SequenceState]
    """Sequences that get one more token."""


def plan(running: Sequence[SequenceState], step: int) -> BatchPlan:
    """What to compute next for the sequences that have rows; chunks are padded to multiples of ``step``."""
    budget = PREFILL_BUDGET
    prefill: list[tuple[SequenceState, int]] = []
    decode: list[SequenceState] = []
    reading: dict[int, SequenceState] = {}
    for sequence in running:
        if not sequence.prefilling and sequence.scoring is not None:
            length = len(sequence.scoring.branch(CHUNK).tokens)
            padded = length + -length % step
            if padded <= budget or not prefill:
                prefill.append((sequence, length))
                budget -= padded
        elif not sequence.prefilling:
            decode.append(sequence)
        elif not sequence.waits_for(reading.setdefault(id(sequence.prompt), sequence)):
            length = min(CHUNK, len(sequence.prompt) - sequence.computed)
            padded = length + -length % step
            if padded <= budget or not prefill:
                prefill.append((sequence, length))
                budget -= padded
    return BatchPlan(prefill, decode)
