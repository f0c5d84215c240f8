"""Answers with a structure: an iteration is made of those whose next token can be chosen now.

| the mask of a row                  | others can go on   | then                                                   |
| ---------------------------------- | ------------------ | ------------------------------------------------------ |
| is ready                           | any                | the row is in this iteration                           |
| is not ready, and is a quick one   | any                | all wait, `GRACE_SECONDS` at most; then it is left out |
| is not ready, and is a slow one    | yes                | it is left out                                         |
| is not ready                       | no, of any version | all wait, `IDLE_SECONDS` at most                       |
| has failed                         | any                | it is left out, and its request ends                   |
"""

import time
from collections.abc import Iterable, Sequence

from engine.inference.requests import Failed, Request, SequenceState

GRACE_SECONDS = 0.002
IDLE_SECONDS = 0.02


def ready(sequences: Sequence[SequenceState]) -> Sequence[SequenceState]:
    """Those that can go on now."""
    late = [each for each in sequences if each.mask is not None and not each.mask.ready]
    if late:
        end = time.monotonic() + GRACE_SECONDS
        for sequence in reversed(late):  # they get ready in order: this thread wakes once, not for each
            if sequence.mask is not None and not sequence.mask.slow:
                sequence.mask.wait(max(end - time.monotonic(), 0.0))
    return [each for each in sequences if _can_go_on(each)]


def wait(running: Iterable[Sequence[SequenceState]]) -> None:
    """No version can compute anything: wait until the first mask that is late is ready, `IDLE_SECONDS` at most."""
    masks = (each.mask for sequences in running for each in sequences)
    late = next((mask for mask in masks if mask is not None and not mask.ready), None)
    if late is not None:
        late.wait(IDLE_SECONDS)


def failures(running: Iterable[Sequence[SequenceState]]) -> list[tuple[Request, Failed]]:
    """Requests whose structure cannot be kept to, and what to tell them."""
    masks = [(each.request, each.mask) for sequences in running for each in sequences if each.mask is not None]
    return [(request, Failed("structure", mask.failure)) for request, mask in masks if mask.ready and mask.failure]


def _can_go_on(sequence: SequenceState) -> bool:
    return sequence.mask is None or (sequence.mask.ready and not sequence.mask.failure)
