"""The measures of candidate and incumbent on every slice of the held-out set."""

from pydantic import BaseModel, ConfigDict

from engine.evaluation.measures import registry
from engine.evaluation.results import WAYS, By, Results

MOST_SLICES = 20
"""Of one way of slicing, the largest; a held-out set may come from hundreds of files."""


class SliceFigures(BaseModel):
    """One slice: how many samples it has, and by name the measures of both versions on it.

    ``incumbent`` is empty where one version was measured alone.
    """

    model_config = ConfigDict(frozen=True)

    samples: int
    candidate: dict[str, float]
    incumbent: dict[str, float]


def slice_figures(candidate: Results, incumbent: Results | None = None) -> dict[By, dict[str, SliceFigures]]:
    """By way of slicing and name of the slice; decides nothing."""
    return {by: _by(by, candidate, incumbent) for by in WAYS}


def _by(by: By, candidate: Results, incumbent: Results | None) -> dict[str, SliceFigures]:
    sizes = candidate.slice_sizes(by)
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST_SLICES]
    return {
        name: SliceFigures(
            samples=sizes[name],
            candidate=registry.values(candidate.slice(by, name)),
            incumbent={} if incumbent is None else registry.values(incumbent.slice(by, name)),
        )
        for name in sorted(largest)
    }
