"""What the benchmark of answering checks before it measures, at a tiny size."""

import re

import pytest

from tests.bench.benchmark import printed_by

pytestmark = pytest.mark.bench


def test_ours_and_the_peers_do_the_same_work() -> None:
    printed = printed_by("bench_serve.py", "--shape", "tiny", "--only=check")
    assert "checked: in float32 the greedy tokens of ours and transformers are equal (8 each)" in printed


def test_a_section_alone_says_what_each_reached() -> None:
    printed = printed_by("bench_serve.py", "--shape=tiny", "--rounds=1", "--only=one client", "--format=int8")
    assert re.search(r"^  ours int8 +[\d.]+ +\d+%$", printed, re.MULTILINE)
    assert "eight clients" not in printed


def test_the_cost_of_a_structure_is_measured() -> None:
    assert "of a schema" in printed_by("bench_serve.py", "--shape=tiny-llama", "--rounds=1", "--only=structure")
