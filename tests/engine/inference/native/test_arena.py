"""What the kernel tells of the memory that weights lie in."""

import errno
import mmap
import re
from pathlib import Path

import pytest
import torch

from engine.inference.native.arena import Arena


def flags_at(address):
    """The flags of the mapping that an address lies in; none if it lies in none."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if bounds := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(bounds[1], 16) <= address < int(bounds[2], 16)
        elif inside and line.startswith("VmFlags:"):
            return line.split()[1:]
    return []


def test_copies_lie_side_by_side_in_memory_for_huge_pages_that_goes_with_the_last() -> None:
    arena = Arena()
    given = [torch.randn(3, 5), torch.arange(7, dtype=torch.uint8), torch.randn(4, 2).bfloat16().t()]
    taken = [arena.take(tensor) for tensor in given]
    for one, copy in zip(given, taken, strict=True):
        assert torch.equal(copy, one)
        assert copy.dtype == one.dtype
        assert copy.is_contiguous()
        assert copy.data_ptr() % 64 == 0
    first = taken[0].data_ptr()
    assert [copy.data_ptr() - first for copy in taken] == [0, 64, 128]
    assert "hg" in flags_at(first)  # MADV_HUGEPAGE was asked for
    taken[0].zero_()
    assert torch.equal(taken[1], given[1])
    del arena, copy, taken[:2]
    assert flags_at(first), "one of them is still there"
    del taken
    assert not flags_at(first)


def test_more_than_a_piece() -> None:
    arena = Arena()
    large = arena.take(torch.ones(80 << 20, dtype=torch.uint8))
    small = arena.take(torch.full((3,), 7))
    assert large.sum() == 80 << 20
    assert small.tolist() == [7, 7, 7]


def test_a_kernel_without_huge_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(mmap.mmap):
        def madvise(self, *_):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(mmap, "mmap", Refusing)
    assert Arena().take(torch.arange(3)).tolist() == [0, 1, 2]


def test_what_has_no_memory_stays_without() -> None:
    assert Arena().take(torch.empty(3, device="meta")).device.type == "meta"
    assert Arena().take(torch.empty(0, 4)).shape == (0, 4)
