"""What is held out for evaluation: a fixed share of all groups of samples, by hash, never trained on."""

from engine.data.samples import Sample

_DIGITS = 13
"""Hexadecimal digits of the group's hash that decide: 52 bits, which a float holds exactly."""
_PARTS = 1 << (4 * _DIGITS)


def is_held_out(sample: Sample, share: float) -> bool:
    """Whether a sample belongs to the ``share`` of all groups that is held out."""
    return is_group_held_out(sample.group, share)


def is_group_held_out(group: str, share: float) -> bool:
    """The same by its group."""
    return _place_of(group[:_DIGITS]) < share


def place(sample: Sample) -> float:
    """Where the hash of a sample's group falls in [0, 1)."""
    return _place_of(sample.group[:_DIGITS])


def other_place(sample: Sample) -> float:
    """A second place in [0, 1), by the digits that follow: independent of the first, for a choice within a side."""
    return _place_of(sample.group[_DIGITS : 2 * _DIGITS])


def _place_of(digits: str) -> float:
    return int(digits, 16) / _PARTS
