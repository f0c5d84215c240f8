"""How long a worker may take: importing slowly on a busy machine is not hanging, and what hangs is found in time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.messages import Beat
from daemon.settings.sections import SupervisionSettings
from daemon.supervisor.fair_share.usage import Span, Usage
from daemon.supervisor.processes import time_limits
from daemon.supervisor.processes.heartbeat import Heartbeat

LIMIT = 180.0
MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    ("what", "span", "over"),
    [
        ("sleeps for ever", Span(180.0, 0.0, 0.0, 0), True),
        ("sleeps for ever after an import", Span(180.2, 3.0, 0.1, 0), True),
        ("sleeps, not yet for long", Span(179.0, 0.0, 0.0, 0), False),
        ("imports while others compute", Span(180.0, 3.0, 170.0, 0), False),
        ("imports still, an hour later", Span(3500.0, 60.0, 3430.0, 0), False),
        ("computes for ever", Span(180.0, 180.0, 0.0, 0), True),
        ("computes for ever while others compute", Span(2000.0, 181.0, 1819.0, 0), True),
        ("computes on all cores and waits for them", Span(100.0, 150.0, 90.0, 0), False),
        ("reads 200 MB from a slow disk", Span(180.0, 3.0, 0.0, 200 * MEGABYTE), False),
        ("has read, and sleeps for ever", Span(240.0, 3.0, 0.0, 200 * MEGABYTE), True),
        ("waits for ever: there is an end to it", Span(3600.0, 1.0, 3599.0, 0), True),
    ],
)
def test_what_is_over(what: str, span: Span, over: bool) -> None:
    assert time_limits.is_over(span, LIMIT) is over, what


seconds = st.floats(0, 1e5)
spans = st.builds(Span, seconds, seconds, seconds, st.integers(0, 1 << 40))


@given(spans, st.floats(0.1, 1e4))
def test_nobody_is_late_before_the_limit_nor_spared_beyond_the_bound(span: Span, limit: float) -> None:
    over = time_limits.is_over(span, limit)
    assert not over or span.elapsed >= limit
    assert over or span.elapsed < time_limits.MOST * limit
    assert over == (time_limits.left(span, limit) <= 0)


@given(seconds, st.floats(0.1, 1e4))
def test_who_does_nothing_is_late_as_soon_as_the_limit_is_over(elapsed: float, limit: float) -> None:
    assert time_limits.is_over(Span(elapsed, 0.0, 0.0, 0), limit) == (elapsed >= limit)


def test_why_names_what_was_seen() -> None:
    starved = Span(3600.0, 3.0, 3570.0, 0)
    assert time_limits.describe(starved, 17.2, 2) == (
        "in 3600 s it used 3.0 s of processor and waited 3570.0 s for one; the machine is busy: load 17 on 2 processors"
    )
    assert "busy" not in time_limits.describe(starved, 1.0, 2)


SETTINGS = SupervisionSettings(boot_timeout_seconds=10, stall_timeout_seconds=20, heartbeat_timeout_seconds=3)


def test_a_slow_start_is_looked_at_again_and_again_and_a_hanging_one_is_found() -> None:
    heartbeat = Heartbeat()
    heartbeat.excuse(Usage(at=100.0))
    (limit,) = heartbeat.before_ready(SETTINGS)
    assert limit.clock.due(limit.seconds) == 110.0
    importing = Usage(at=110.0, computed=0.5, waited={1: 9.0})
    assert limit.clock.why_over(limit.seconds, importing) == ""
    assert limit.clock.due(limit.seconds) == pytest.approx(119.0), "one of its ten seconds counts"
    hanging = Usage(at=119.0, computed=0.5, waited={1: 9.0})
    assert limit.clock.why_over(limit.seconds, hanging).startswith(
        "in 19 s it used 0.5 s of processor and waited 9.0 s"
    )


def test_each_beat_with_progress_begins_the_time_anew() -> None:
    heartbeat = Heartbeat()
    heartbeat.ready(Usage(at=100.0))
    heartbeat.beaten(Beat(progress=1, activity="a step", busy=True), Usage(at=101.0))
    heartbeat.beaten(Beat(progress=2, activity="a step", busy=True), Usage(at=105.0))
    heartbeat.beaten(Beat(progress=2, activity="a step", busy=True), Usage(at=109.0))
    silent, stalled = heartbeat.at_work(SETTINGS, 3.0)
    assert (silent.clock.due(3.0), stalled.clock.due(20.0)) == (112.0, 125.0)
    heartbeat.beaten(Beat(progress=2, activity="", busy=False), Usage(at=111.0))
    (silent,) = heartbeat.at_work(SETTINGS, 3.0)
    heartbeat.heard(112.0)
    assert heartbeat.at_work(SETTINGS, 3.0)[0].clock.due(3.0) == 115.0
