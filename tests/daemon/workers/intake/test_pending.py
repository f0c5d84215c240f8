"""When a file is complete, by a clock of the test's own."""

from pathlib import Path

import pytest

from daemon.workers.intake.folders import Signature
from daemon.workers.intake.pending import Pending

FILE = Path("/in/talk.jsonl")


def looks_like(size: int) -> Signature:
    return Signature(1, 1, size, size)


@pytest.mark.parametrize("last_write", [0.0, 0.3, 0.9])
def test_a_file_is_looked_at_again_when_it_has_rested_for_the_wait_and_no_later(last_write: float) -> None:
    pending = Pending(settle_seconds=1.0)
    pending.note(FILE, at=0.0)  # the first write
    assert pending.next_due() == 1.0
    if not pending.is_complete(FILE, looks_like(9), modified=1.0 - last_write, at=1.0):
        assert pending.next_due() == pytest.approx(1.0 + last_write)
        assert pending.is_complete(FILE, looks_like(9), modified=0.999, at=1.0 + last_write), "its own clock is coarse"


def test_a_file_that_was_just_looked_at_is_not_taken_for_one_that_rested() -> None:
    """It is looked at twice at once where its folder is new as well."""
    pending = Pending(settle_seconds=1.0)
    pending.note(FILE, at=0.0)
    assert not pending.is_complete(FILE, looks_like(1), modified=0.1, at=1.0)
    assert not pending.is_complete(FILE, looks_like(1), modified=0.1, at=1.0)
    assert pending.is_complete(FILE, looks_like(1), modified=1.0, at=1.9)


def test_a_time_stamp_in_the_future_waits_for_a_file_that_stays_as_it_is() -> None:
    pending = Pending(settle_seconds=1.0)
    assert not pending.is_complete(FILE, looks_like(1), modified=-3600.0, at=0.0)
    assert not pending.is_complete(FILE, looks_like(2), modified=-3600.0, at=1.0)
    assert pending.is_complete(FILE, looks_like(2), modified=-3600.0, at=2.0)


def test_a_file_that_never_rests_is_read_all_the_same() -> None:
    pending = Pending(settle_seconds=1.0)
    pending.note(FILE, at=0.0)
    seconds = next(at for at in range(1, 100) if pending.is_complete(FILE, looks_like(at), modified=0.0, at=float(at)))
    assert seconds == 30
