"""What `thorctl train --wait` prints where nobody watches: news, and no line for every other load of the machine."""

import pytest

from control.terminal import progress


def test_a_line_is_not_said_again_because_other_programs_need_more(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter(range(0, 1000, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(moments))
    show = progress._Lines()
    figures = {"cycle": 1, "state": "training", "steps": 9, "tokens_per_second": 60.0}
    for step, share in ((1, None), (1, 0.4), (1, 0.3), (1, 0.5), (2, 0.5), (2, None), (9, 0.3), (9, 0.2)):
        show({**figures, "step": step, "slowed_to": share})
    lines = capsys.readouterr().out.splitlines()
    assert [("1/9" in line, "2/9" in line, "slowed" in line) for line in lines] == [
        (True, False, False), (True, False, True), (False, True, True), (False, True, False), (False, False, True)
    ]  # fmt: skip
