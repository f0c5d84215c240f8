"""``thorctl config``: the settings without a running thord, and what is wrong with them."""

import json
import tomllib
from pathlib import Path

from tests.control.stand_in import Ctl


def test_config_without_thord_resolves_the_file(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thord.toml").write_text('profile = "tiny"\n[training]\nlearning_rate = 0.5\n')
    found = ctl.json("config")
    assert isinstance(found, dict)
    assert found["settings"]["training"]["learning_rate"] == 0.5
    assert found["origins"]["training.learning_rate"] == str(tmp_path / "home/thord.toml")
    assert tomllib.loads(ctl("config").stdout)["training"]["learning_rate"] == 0.5


def test_config_check_names_every_fault(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thord.toml").write_text("[training]\nlerning_rate = 1\nepochs = 'many'\n")
    done = ctl("config", "check")
    assert done.returncode == 2
    assert "lerning_rate" in done.stderr
    assert "epochs" in done.stderr
    assert json.loads(ctl("config", "--json").stdout)["error"]["code"] == "bad_configuration"


def test_a_watched_folder_that_is_not_there_is_said(ctl: Ctl, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thord.toml").write_text(f'[paths]\nwatch = ["{tmp_path}/chatz", "{tmp_path}"]\n')
    done = ctl("config", "check")
    assert done.returncode == 0
    assert f"there is no folder {tmp_path}/chatz" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    [finding] = [check for check in json.loads(ctl("doctor", "--json").stdout)["checks"] if check["check"] == "watch"]
    assert finding["level"] == "warn"
    assert finding["message"] == f"paths.watch: there is no folder {tmp_path}/chatz"
    assert "thorctl reload" in finding["remedy"]
