"""Records name places in modules that are imported only when they are asked for."""

import pytest

from engine.families.family import Family, named
from engine.families.thor import THOR


def test_a_place_gives_what_is_there() -> None:
    assert named("engine.families.thor:THOR", Family) is THOR
    assert named(None, Family) is None


@pytest.mark.parametrize("place", ["engine.families.thor:ThorShape", "engine.families.thor:absent"])
def test_a_place_that_holds_something_else_is_refused(place: str) -> None:
    with pytest.raises(TypeError, match=f"{place} is not a Family"):
        named(place, Family)
