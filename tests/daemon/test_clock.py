"""Time stamps are written as the files and clients that hold them have always had them."""

import datetime

import pytest

from daemon import clock


def test_every_way_a_moment_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime.datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=datetime.UTC)
    monkeypatch.setattr(clock, "time_of_day", lambda: at)
    assert clock.utc_now() == "2026-01-02T03:04:05.678Z"
    assert clock.utc_now_with_offset("milliseconds") == "2026-01-02T03:04:05.678+00:00"
    assert clock.utc_now_with_offset("seconds") == "2026-01-02T03:04:05+00:00"
    elsewhere = at.astimezone(datetime.timezone(datetime.timedelta(hours=2)))
    assert clock.moment(elsewhere) == "2026-01-02T03:04:05Z"
    assert clock.moment(None) is None
