"""``clean`` and the commands of docs/retention.md."""

import re

from tests.control import stand_in as thord
from tests.control.stand_in import Ctl, StandIn


def test_the_commands_of_retention_md(stand_in: StandIn, ctl: Ctl) -> None:
    stand_in.answers["POST", "/v1/clean"] = (200, thord.CLEANING)
    [block] = re.findall(r"```sh\n(.*?)```", (thord.REPOSITORY / "docs/retention.md").read_text(), re.DOTALL)
    for command in block.splitlines():
        assert ctl(*command.split()[1:]).returncode == 0, command
    assert ("POST", "/v1/versions/12/unpin", {}) in stand_in.asked


def test_clean_says_what_goes_and_why_and_by_its_status_what_could_not(stand_in: StandIn, ctl: Ctl) -> None:
    planned = ctl("clean", "--dry-run")
    assert planned.returncode == 0
    assert "version  000003  517 MB  older than the newest 4" in planned.stdout
    assert "517 MB would be removed, 3.1 GB kept" in planned.stdout
    done = ctl("clean")
    assert done.returncode == 1
    assert "517 MB removed" in done.stdout
    assert "could not be removed: /a/file: Permission denied" in done.stderr
