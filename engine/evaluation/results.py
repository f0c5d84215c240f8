"""What one version shows on each held-out sample, and the slices that the samples belong to.

Candidate and incumbent have results on the same samples, in one order.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from engine.data.samples import Dialogue, SampleProtocol
from engine.data.tasks.posed import PosedTask, PosedText
from engine.evaluation.likelihood import Likelihood

By = Literal["kind", "task", "source"]
WAYS: tuple[By, ...] = get_args(By)
"""Ways of slicing: what a sample is, the task it is labelled for, the file it came from."""
Names = NDArray[np.str_]
_LINE = re.compile(r":\d+$")


@dataclass(frozen=True)
class Results:
    """Results on C samples.

    Attributes:
        slices: for each way of slicing, the name of the slice that each of the C samples is in; "" where it is in none.
    """

    likelihood: Likelihood
    slices: Mapping[By, Names] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.likelihood.nats_C)

    def part(self, chosen_C: NDArray[np.bool_]) -> "Results":
        """The results on the chosen samples."""
        return Results(self.likelihood.part(chosen_C), {by: names_C[chosen_C] for by, names_C in self.slices.items()})

    def of_kinds(self, kinds: Collection[str]) -> "Results":
        """The results on samples of some kinds; all of them where nobody said what the samples are."""
        return self.part(np.isin(self.slices["kind"], sorted(kinds))) if "kind" in self.slices else self

    def slice_sizes(self, by: By) -> dict[str, int]:
        """How many samples each slice has, by its name; in alphabetical order."""
        if by not in self.slices:
            return {}
        names, counts = np.unique(self.slices[by], return_counts=True)
        return {str(name): int(count) for name, count in zip(names, counts, strict=True) if name}

    def slice(self, by: By, name: str) -> "Results":
        """The results on the samples of one slice."""
        return self.part(self.slices[by] == name)


def slices_of(samples: Sequence[SampleProtocol], sources: Mapping[str, str] = MappingProxyType({})) -> dict[By, Names]:
    """The slice that each sample is in, for each way of slicing; ``sources`` are files, or lines of files, by identity.

    A dialogue is of kind ``chat``, as it has always been in the figures of the gate; a question of a task is
    ``labelled``.
    """
    kinds = [_kind(sample) for sample in samples]
    tasks = [sample.labelled.task if isinstance(sample, PosedTask | PosedText) else "" for sample in samples]
    files = [_LINE.sub("", sources.get(sample.identity, "")) for sample in samples]
    return {"kind": np.array(kinds, np.str_), "task": np.array(tasks, np.str_), "source": np.array(files, np.str_)}


def _kind(sample: SampleProtocol) -> str:
    if isinstance(sample, PosedTask | PosedText):
        return sample.labelled.kind
    return "chat" if isinstance(sample, Dialogue) else sample.kind
