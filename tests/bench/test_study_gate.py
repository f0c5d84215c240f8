"""The gate for ever, simulated with the functions of the service: docs/development/studies.md has the table."""

import runpy
from pathlib import Path

import numpy as np
import pytest

STUDY = runpy.run_path(str(Path(__file__).parents[2] / "bench/study_gate.py"))


def lineages(kind: str, *, guarded: bool = True, runs: int = 4) -> dict[str, float]:
    rng = np.random.default_rng(0)
    found = [STUDY["simulate"](STUDY["KINDS"][kind], rng, guarded=guarded) for _ in range(runs)]
    return {name: float(np.mean([getattr(one, name) for one in found])) for name in vars(found[0])}


def test_ten_days_of_equal_candidates_drift_by_nothing() -> None:
    found = lineages("all equal")
    assert found["truth"] == found["worst"] == 0
    assert 5 < found["promotions"] < 35
    assert found["claimed"] < -0.05, "what gates claim is not to be added up"


def test_true_gains_arrive() -> None:
    plain, guarded = lineages("all better by 0.003", guarded=False), lineages("all better by 0.003")
    assert guarded["truth"] < -0.15
    assert guarded["truth"] == pytest.approx(plain["truth"], rel=0.2)
    assert guarded["went_back"] <= 0.5


def test_candidates_that_please_only_the_gate_do_harm_that_is_bounded() -> None:
    kind = "misled: better by 0.003, in truth worse by 0.002"
    assert lineages(kind, guarded=False)["truth"] > 0.08
    found = lineages(kind)
    assert found["worst"] < 0.06
    assert found["went_back"] > 1
