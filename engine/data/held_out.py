"""What is held out for evaluation: a fixed share of all groups of samples, by hash, never trained on.

A quarter of what is held out is sealed: only anchor tests read it. Gates read a window of the rest, which moves with
every epoch of cycles, so that no candidate is chosen by the same conversations for ever.
"""

from engine.data.samples import Sample

_DIGITS = 13
"""Hexadecimal digits of the group's hash that decide: 52 bits, which a float holds exactly."""
_PARTS = 1 << (4 * _DIGITS)
SEALED_SHARE = 0.25
"""Of what is held out."""
_GOLDEN = 0.6180339887498949
"""Multiples of it, less the whole part, leave the smallest gaps in [0, 1) whatever their number."""


def is_held_out(sample: Sample, share: float) -> bool:
    """Whether a sample belongs to the ``share`` of all groups that is held out."""
    return is_group_held_out(sample.group, share)


def is_group_held_out(group: str, share: float) -> bool:
    """The same by its group."""
    return _place_of(group[:_DIGITS]) < share


def is_sealed(identity: str) -> bool:
    """Whether a held-out sample is one that gates do not read."""
    return _place_of(identity[:_DIGITS]) < SEALED_SHARE


def window_start(epoch: int) -> float:
    """Where in [`SEALED_SHARE`, 1), by identity, the samples begin that gates read in an epoch."""
    return SEALED_SHARE + (1 - SEALED_SHARE) * (epoch * _GOLDEN % 1)


def place(sample: Sample) -> float:
    """Where the hash of a sample's group falls in [0, 1)."""
    return _place_of(sample.group[:_DIGITS])


def other_place(sample: Sample) -> float:
    """A second place in [0, 1), by the digits that follow: independent of the first, for a choice within a side."""
    return _place_of(sample.group[_DIGITS : 2 * _DIGITS])


def test_place(sample: Sample) -> float:
    """A third place in [0, 1), likewise independent of the other two."""
    return _place_of(sample.group[2 * _DIGITS : 3 * _DIGITS])


def _place_of(digits: str) -> float:
    return int(digits, 16) / _PARTS
