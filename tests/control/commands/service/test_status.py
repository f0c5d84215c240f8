"""``status``: what it says of folders and workers."""

from tests.control import stand_in as thord
from tests.control.stand_in import Ctl, StandIn


def test_status_names_the_folders_that_are_not_watched(stand_in: StandIn, ctl: Ctl) -> None:
    stand_in.answers["GET", "/v1/status"] = (200, thord.STATUS | {"unwatched": {"/srv/chatz": "no such folder"}})
    [line] = [line for line in ctl("status").stdout.splitlines() if line.startswith("not watched")]
    assert line.endswith("/srv/chatz: no such folder")


def test_status_of_a_worker_that_is_down(stand_in: StandIn, ctl: Ctl) -> None:
    assert ctl("status", "trainer").returncode == 3
    assert ctl("status", "nobody").returncode == 5


def test_status_shows_what_the_last_anchor_test_came_to(stand_in: StandIn, ctl: Ctl) -> None:
    test = {"at": "2026-01-02T03:04:05.000Z", "version": "000012", "against": "000003", "decision": "better"}
    test |= {"conversations": 200, "difference": -0.0312, "lower": -0.04, "upper": -0.02}
    anchor = {"version": "000012", "promotions_since": 4, "audits": [test]}
    stand_in.answers["GET", "/v1/status"] = (200, thord.STATUS | {"anchor": anchor})
    [line] = [line for line in ctl("status").stdout.splitlines() if line.startswith("audited")]
    assert "version 000012; the last test, of 000012 against 000003 on 200 sealed conversations" in line
    assert "-0.0312 bits per byte; 4 promotions towards the next" in line
