"""The benchmark of evaluation, at a size of no account: that ours and the peer find the same, and that it ends."""

import importlib.util
import re

import pytest

from tests.bench.benchmark import printed_by

pytestmark = pytest.mark.bench


@pytest.mark.skipif(not importlib.util.find_spec("lm_eval"), reason="lm-eval is not installed: pip install '.[peers]'")
def test_log_likelihoods_are_those_of_the_harness() -> None:
    printed = printed_by("bench_eval.py", "--shape=tiny-llama", "--examples=6", "--rounds=1", "--only=hf, batches of 8")
    assert re.search(r"^  hf, batches of 8 +[\d.]+ +[\d.]+$", printed, re.MULTILINE)
    difference = re.search(r"log-likelihoods of examples differ by (\S+) at most", printed)
    assert difference
    assert float(difference[1]) <= 1e-3
