"""What the benchmark of answering checks before it measures, at a tiny size."""

import pytest

from tests.bench.benchmark import printed_by

pytestmark = pytest.mark.bench


def test_ours_and_the_peers_do_the_same_work() -> None:
    printed = printed_by("bench_serve.py", "--shape", "tiny", "--only-check")
    assert "checked: in float32 the greedy tokens of ours and transformers are equal (8 each)" in printed
