"""Budgets: the table, and that what was not measured never passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.evaluation import GateSettings
from engine.evaluation.budgets import are_set, exceeded, judge

FIGURES = st.floats(1e-3, 1e6)
FAST = {"tokens_per_second": 100.0, "first_token_seconds": 0.1, "peak_memory_bytes": 100.0 * 2**20}


@pytest.mark.parametrize(
    ("settings", "passed"),
    [
        (GateSettings(max_tokens_per_second_loss=0.5), True),
        (GateSettings(max_tokens_per_second_loss=0.4), False),
        (GateSettings(max_first_token_seconds=0.2), True),
        (GateSettings(max_first_token_seconds=0.05), False),
        (GateSettings(max_memory_megabytes=100), True),
        (GateSettings(max_memory_megabytes=99), False),
    ],
)
def test_each_budget_is_kept_or_exceeded(settings: GateSettings, passed: bool) -> None:
    found = judge(FAST, FAST | {"tokens_per_second": 200.0}, settings, is_first=False)
    (name,) = found
    assert found[name].passed == passed
    assert (exceeded(found) is None) == passed
    assert passed or f"gate.{name} allows" in (exceeded(found) or "")


def test_what_is_not_set_is_neither_measured_nor_judged() -> None:
    assert not are_set(GateSettings())
    assert judge(None, None, GateSettings(), is_first=False) == {}
    assert judge(FAST, None, GateSettings(max_tokens_per_second_loss=0.1), is_first=True) == {}


@given(
    missing=st.sets(st.sampled_from(sorted(FAST))),
    broken=st.sampled_from([None, 0.0, -1.0, float("nan"), float("inf")]),
    tokens=FIGURES,
)
def test_a_figure_that_is_missing_or_no_figure_fails_its_budget(
    missing: set[str], broken: float | None, tokens: float
) -> None:
    settings = GateSettings(max_tokens_per_second_loss=0.99, max_first_token_seconds=1e9, max_memory_megabytes=1 << 40)
    candidate = {name: value for name, value in FAST.items() if name not in missing}
    if broken is not None:
        candidate |= dict.fromkeys(missing, broken)
    found = judge(candidate, {"tokens_per_second": 50.0}, settings, is_first=False)
    budgets = dict(
        zip(FAST, ("max_tokens_per_second_loss", "max_first_token_seconds", "max_memory_megabytes"), strict=True)
    )
    assert {name for name, budget in found.items() if not budget.passed} == {budgets[name] for name in missing}
    assert not judge(FAST, None, settings, is_first=False)["max_tokens_per_second_loss"].passed


@given(ours=FIGURES, theirs=FIGURES, allowed=st.floats(0, 0.99))
def test_a_faster_candidate_never_loses_and_a_stricter_budget_never_admits_more(
    ours: float, theirs: float, allowed: float
) -> None:
    def passes(share: float) -> bool:
        settings = GateSettings(max_tokens_per_second_loss=share)
        speeds = ({"tokens_per_second": each} for each in (ours, theirs))
        return judge(*speeds, settings, is_first=False)["max_tokens_per_second_loss"].passed

    assert passes(allowed) or ours < theirs
    assert passes(allowed) or not passes(allowed / 2)
