"""The table of what becomes of a request, row by row."""

import pytest

from engine.inference.requests import Failed, GenerationParams, Request
from engine.inference.scheduling.deadlines import disposition


def request(version: int | None, *, pin: int | None = None, sent: bool = False) -> Request:
    made = Request([[1]], GenerationParams(1), lambda _: None, pin=pin, deadline=10.0)
    made.version, made.sent = version, sent
    return made


@pytest.mark.parametrize("version", [None, 1, 2])
@pytest.mark.parametrize("hopeless", [False, True])
def test_beyond_its_own_deadline_it_fails_whatever_else(version: int | None, hopeless: bool) -> None:
    found = disposition(request(version), 10.1, {1}, hopeless=hopeless)
    assert isinstance(found, Failed)
    assert found.kind == "timeout"
    assert disposition(request(2), 10.0, {1}, hopeless=hopeless) == "go on"


def test_who_waits_fails_only_where_there_is_nothing_to_wait_for() -> None:
    assert disposition(request(None), 1.0, {1}, hopeless=False) == "go on"
    found = disposition(request(None), 1.0, {1}, hopeless=True)
    assert isinstance(found, Failed)
    assert found.kind == "version_gone"
    assert disposition(request(2), 1.0, {1}, hopeless=True) == "go on"


def test_on_a_version_that_drained_only_what_nobody_saw_begins_anew() -> None:
    assert disposition(request(1), 1.0, {1}, hopeless=False) == "begin anew"
    for seen in (request(1, sent=True), request(1, pin=1), request(1, pin=1, sent=True)):
        found = disposition(seen, 1.0, {1}, hopeless=False)
        assert isinstance(found, Failed)
        assert found.kind == "drained"
        assert "000001" in found.message
