"""Each phase is told when it begins, now and then, and when it is done."""

import pytest

from daemon.messages import PhaseProgress
from daemon.workers import phases
from daemon.workers.phases import Phases


class Line:
    """What a channel is told."""

    def __init__(self) -> None:
        self.sent: list[PhaseProgress] = []
        self.advanced = 0

    def send(self, message: PhaseProgress) -> None:
        self.sent.append(message)

    def advance(self, _: str) -> None:
        self.advanced += 1


def test_a_phase_is_told_at_its_beginning_seldom_meanwhile_and_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(phases.time, "monotonic", lambda: now)
    line = Line()
    told = Phases(line, command=7)
    for done in range(1001):
        told.advance("tokenising", done, 1000)
        now += 0.01
    told.advance("validating", 0, 20)
    told.advance("validating", 0, 20)
    assert line.advanced == 1003, "each is a sign of life"
    assert [message.done for message in line.sent[:2]] == [0, 50]
    assert len(line.sent) <= 23
    assert line.sent[-2].done == 1000
    assert line.sent[-2].eta_seconds == 0
    assert line.sent[10].eta_seconds == pytest.approx(5.0, rel=0.05)
    assert (line.sent[-1].activity, line.sent[-1].total, line.sent[-1].to) == ("validating", 20, 7)


def test_without_a_total_nothing_is_foretold() -> None:
    line = Line()
    Phases(line, 7).advance("training the tokenizer")
    assert (line.sent[0].total, line.sent[0].eta_seconds) == (None, None)
