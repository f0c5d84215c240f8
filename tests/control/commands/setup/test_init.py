"""``thorctl init``: a settings file that thord accepts, and folders; nothing is overwritten."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.control.stand_in import Ctl


def values(table: dict[str, object]) -> Iterator[object]:
    """All that is set in a table and in those inside it."""
    for value in table.values():
        yield from values(value) if isinstance(value, dict) else [value]


def test_init_writes_settings_that_thord_accepts(ctl: Ctl, tmp_path: Path) -> None:
    found = ctl.json("init", "--profile", "tiny")
    config = tmp_path / "home/thord.toml"
    places = {"config": str(config), "home": str(tmp_path / "home"), "inbox": str(tmp_path / "home/inbox")}
    assert found == {**places, "profile": "tiny", "why": f"chosen by {config}"}
    settings = tomllib.loads(config.read_text())
    assert settings.pop("profile") == "tiny"
    assert not list(values(settings)), "every other line is a comment"
    assert {folder.name for folder in (tmp_path / "home/inbox").iterdir()} == {"chats", "conversations", "corpus"}
    checked = ctl.json("config", "check")
    assert isinstance(checked, dict)
    assert checked["profile"] == "tiny"


def test_init_shows_the_values_that_are_in_force_with_the_profile(ctl: Ctl, tmp_path: Path) -> None:
    """Taking the # away from every line that a profile sets changes nothing."""
    config = tmp_path / "home/thord.toml"
    assert ctl("init", "--profile", "tiny").returncode == 0
    before = ctl.json("config")
    lines = config.read_text().splitlines()
    bare = [line.removeprefix("#") if "# by profile tiny" in line else line for line in lines]
    assert len([line for line in lines if line not in bare]) >= 5
    config.write_text("\n".join(bare))
    after = ctl.json("config")
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert after["settings"] == before["settings"]


def test_init_never_overwrites(ctl: Ctl, tmp_path: Path) -> None:
    ctl.json("init")
    (tmp_path / "home/thord.toml").write_text("# mine")
    done = ctl("init")
    assert done.returncode == 1
    assert (tmp_path / "home/thord.toml").read_text() == "# mine"


def test_init_where_a_file_is_in_the_way(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    done = ctl("init")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "home") in done.stderr
