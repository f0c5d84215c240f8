"""Which held-out samples are sealed, and where the window of an epoch begins."""

from hashlib import sha256
from itertools import pairwise

from engine.data.held_out import SEALED_SHARE, is_sealed, window_start


def test_a_quarter_is_sealed_for_ever() -> None:
    identities = [sha256(str(number).encode()).hexdigest() for number in range(4000)]
    assert 0.22 < sum(map(is_sealed, identities)) / 4000 < 0.28
    assert is_sealed("3" + "f" * 63)
    assert not is_sealed("4" + "0" * 63)


def test_windows_begin_outside_of_what_is_sealed_and_spread() -> None:
    starts = sorted(window_start(epoch) for epoch in range(20))
    assert starts[0] >= SEALED_SHARE
    assert starts[-1] < 1
    gaps = [after - before for before, after in pairwise(starts)]
    assert min(gaps) > 0.015
    assert max(gaps) < 0.1
