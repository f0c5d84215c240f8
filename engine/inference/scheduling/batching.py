"""What one iteration computes: which prompts advance by how much, and which answers get one more token.

| answers that get a token, of all versions | prompt tokens of a version in one iteration |
| ----------------------------------------- | ------------------------------------------- |
| none                                      | 256                                         |
| 1 to 3                                    | 128                                         |
| 4 and more                                | 64                                          |

All of these answers wait while prompts are read, and whoever comes next waits for the iteration under way. Reading in
smaller pieces takes longer, by the time in which weights are read for each. A piece is cut where this says only if
chunks cost what they have (a ``step`` of 1); else, and where hidden states are added up, whose sum depends on the
pieces, prompts are cut at fixed places, and the first of them is read whatever its length.
"""

from collections.abc import Sequence
from typing import NamedTuple

from engine.inference.requests import SequenceState

CHUNK = 128
"""Prompt tokens of one sequence in one forward pass."""
_FEW_ANSWERS = 4


class BatchPlan(NamedTuple):
    """One iteration of one version."""

    prefill: Sequence[tuple[SequenceState, int]]
    """Sequences in order of arrival, each with the number of tokens to read: of its prompt, or of a candidate."""
    decode: Sequence[SequenceState]
    """Sequences that get one more token."""


def prefill_budget(answers: int) -> int:
    """Prompt tokens that a version may read in one iteration beside so many answers, by the table above."""
    if not answers:
        return 2 * CHUNK
    return CHUNK if answers < _FEW_ANSWERS else CHUNK // 2


def plan(running: Sequence[SequenceState], step: int, budget: int = 2 * CHUNK) -> BatchPlan:
    """What to compute next for the sequences that have rows.

    Args:
        running: the sequences of one version.
        step: chunks are padded to multiples of it.
        budget: how many tokens of prompts.
    """
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
            if step == 1 and budget and not sequence.request.params.sum_hidden:
                length = min(length, budget)
            padded = length + -length % step
            if padded <= budget or not prefill:
                prefill.append((sequence, length))
                budget -= padded
    return BatchPlan(prefill, decode)
