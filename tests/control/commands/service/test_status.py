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
