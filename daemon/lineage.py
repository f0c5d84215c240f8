"""Which versions were made from which: a pure function, for the supervisor and for whoever reads its store."""

from collections.abc import Iterable, Mapping


def made_from(parents: Mapping[int, int | None], these: Iterable[int]) -> set[int]:
    """Every version that was made from one of these, in any number of steps; without these themselves."""
    own = frozenset(these)
    found = set(own)
    for number in sorted(parents):  # a parent has a lower number
        if parents[number] in found:
            found.add(number)
    return found - own
