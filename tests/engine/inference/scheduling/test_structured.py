"""Which answers with a structure are in an iteration, and how long the others are waited for."""

from dataclasses import dataclass, field

import pytest

from engine.inference.scheduling import structured
from engine.inference.scheduling.structured import GRACE_SECONDS, IDLE_SECONDS


@dataclass
class Mask:
    ready: bool = True
    slow: bool = False
    failure: str = ""
    in_time: bool = False
    waited: list[float] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.ready = self.ready or self.in_time


@dataclass
class Row:
    mask: Mask | None
    request: str = ""


@pytest.mark.parametrize(
    ("mask", "is_in", "waits"),
    [
        (None, True, False),
        (Mask(), True, False),
        (Mask(failure="too complex"), False, False),
        (Mask(ready=False, in_time=True), True, True),
        (Mask(ready=False), False, True),
        (Mask(ready=False, slow=True), False, False),
    ],
)
def test_a_row_is_in_an_iteration_if_its_mask_is_ready_in_time(mask: Mask | None, is_in: bool, waits: bool) -> None:
    row, other = Row(mask), Row(None)
    assert (row in structured.ready([row, other]), other in structured.ready([other])) == (is_in, True)
    if mask is not None:
        assert bool(mask.waited) == waits
        assert all(0 <= seconds <= GRACE_SECONDS for seconds in mask.waited)


def test_a_slow_mask_is_waited_for_only_where_no_version_can_go_on() -> None:
    late = Row(Mask(ready=False, slow=True))
    assert structured.ready([late]) == []  # of this version; others may go on
    assert late.mask.waited == []
    structured.wait([[Row(None), Row(Mask())], [late]])
    assert late.mask.waited == [IDLE_SECONDS]
