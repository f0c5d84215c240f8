"""The benchmark of training, at a size of no account: that its contestants do the same work, and that it ends."""

import re

import pytest

from tests.bench.benchmark import printed_by

pytestmark = pytest.mark.bench

SOME = ("ours", "bare loop")
ALL = (
    *SOME,
    "ours, as supervised",
    "Trainer",
    "Trainer, allocator",
    "bare loop, allocator",
    "ours, ragged",
    "Trainer, ragged",
    "Trainer, ragged, allocator",
)
_LINE = re.compile(r"^  (\S.*?) {2,}[\d,]+ {2,}([\d.]+)", re.MULTILINE)
"""A name, its tokens a second, and how many times as many ours are."""


@pytest.mark.parametrize("names", [SOME, pytest.param(ALL, marks=pytest.mark.soak)], ids=["some", "all"])
def test_contestants_do_the_same_work_and_are_compared(names):
    options = ["--size=tiny", "--rounds=1", "--steps=1", "--no-compile"]
    printed = printed_by("bench_train.py", *options, *(f"--only={name}" for name in names))
    found = {name: float(rate) for name, rate in _LINE.findall(printed)}
    assert found.keys() == set(names)
    assert found["ours"] == 1.0
    difference = re.search(r"losses on packed data are equal to (\S+)", printed)
    assert difference
    assert float(difference[1]) <= 1e-3
    exact = re.search(
        r"in float32, at a rate of 0.0003, the first 3 losses are equal to (\S+): ours, .*bare loop", printed
    )
    assert exact
    assert float(exact[1]) <= 1e-5
    assert re.search(r"a checkpoint holds the loop [\d.]+ ms beside it and \d+ ms waited for", printed)
    assert (
        "LEFT OUT, --no-compile: ours, compiled, Trainer, allocator, compiled, bare loop, allocator, compiled"
        in printed
    )
