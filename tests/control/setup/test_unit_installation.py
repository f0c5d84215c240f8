"""The systemd unit: systemd accepts it, it is sandboxed, and it is installed and removed without a trace."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from control.paths import share
from control.service import systemd
from control.setup import unit_installation


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit_installation, "thord_command", lambda: ["/bin/true"])


@pytest.mark.parametrize("user", [False, True])
@pytest.mark.parametrize("version", [252, 255])
@pytest.mark.usefixtures("installed")
def test_systemd_accepts_the_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: bool, version: int) -> None:
    monkeypatch.setattr(systemd, "version", lambda: version)
    unit = tmp_path / "thord.service"
    unit.write_text(unit_installation.unit_text(user=user, socket_activation=True, keys="keys"))
    assert f"LoadCredential=keys:{Path.cwd() / 'keys'}\n" in unit.read_text()
    shutil.copy(share("systemd/thord.socket"), tmp_path)
    assert ("Type=notify-reload\n" in unit.read_text()) == (version >= 253)
    real = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=False).stdout.split()
    if not real or int(real[1]) < version:
        pytest.skip(f"NOT CHECKED: systemd {version} or newer is not on this machine")
    checked = subprocess.run(
        ["systemd-analyze", "verify", *(["--user"] if user else []), str(unit), str(tmp_path / "thord.socket")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert str(tmp_path) not in checked.stderr, checked.stderr


def test_the_unit_is_sandboxed(tmp_path: Path) -> None:
    unit = tmp_path / "thord.service"
    unit.write_text(share("systemd/thord.service").read_text().replace("@THORD@", "/bin/true"))
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(unit)]
    try:
        judged = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("NOT CHECKED: no systemd on this machine")
    assert judged.returncode == 0, judged.stdout


@pytest.mark.usefixtures("installed")
def test_install_service_for_a_user_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    unit, settings = tmp_path / "config/systemd/user/thord.service", tmp_path / "state/thord/thord.toml"
    steps = list(unit_installation.steps(user=True, uninstall=False))
    assert [step.what for step in steps] == [f"write {unit}", f"write {settings}"]
    assert not unit.exists(), "nothing is done before a step is taken"
    for step in steps:
        step.do()
    assert "ExecStart=/bin/true\n" in unit.read_text()
    assert f'Environment="XDG_STATE_HOME={tmp_path / "state"}"' in unit.read_text()
    settings.write_text("# mine")
    for step in unit_installation.steps(user=True, uninstall=False):
        step.do()
    assert settings.read_text() == "# mine"
    for step in unit_installation.steps(user=True, uninstall=False, socket_activation=True):
        step.do()
    assert "Requires=thord.socket\nAfter=thord.socket\n" in unit.read_text()
    assert unit.with_name("thord.socket").exists()
    for step in unit_installation.steps(user=True, uninstall=True):
        step.do()
    assert not list(unit.parent.iterdir())
    assert settings.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_thord_that_others_may_not_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "closed/bin/thord"
    command.parent.mkdir(parents=True)
    command.touch()
    command.with_name("python").touch()
    (tmp_path / "closed").chmod(0o700)
    monkeypatch.setattr(unit_installation, "thord_command", lambda: [str(command)])
    with pytest.raises(unit_installation.errors.ThordError, match="closed to others"):
        list(unit_installation.steps(user=False, uninstall=False))
