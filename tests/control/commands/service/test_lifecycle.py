"""``reload``: what it says and how it ends where something is wrong."""

from tests.control.stand_in import Ctl, StandIn


def test_a_reload_with_a_wrong_file_of_keys_fails_and_says_what_is_wrong(stand_in: StandIn, ctl: Ctl) -> None:
    answer = {"applied": [], "needs_restart": [], "warnings": ["keys, line 2: there is no scope 'reed'"]}
    stand_in.answers["POST", "/v1/reload"] = (200, answer)
    done = ctl("reload")
    assert done.returncode == 1
    assert "warning: keys, line 2: there is no scope 'reed'" in done.stderr
    assert ctl("reload", "--json").returncode == 1
