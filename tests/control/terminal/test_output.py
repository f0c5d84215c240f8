"""Nested figures as people read them."""

import pytest

from control.terminal import output


def test_a_name_with_nothing_below_it_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    output.tree({"passed": True, "sets": {}, "overall": {"lower_bound": -1.5, "budgets": {}}, "limit": None})
    assert capsys.readouterr().out == "passed: yes\noverall\n  lower bound: -1.5\nlimit: -\n"
