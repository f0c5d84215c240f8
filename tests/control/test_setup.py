"""Setting up: init, config, doctor, install-service."""

import json
import os
import shutil
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from control import install_service, plan, systemd
from control.cli.main import main
from control.paths import as_unit, at_home, share
from engine.native import library
from tests.control.stand_in import Ctl, StandIn


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


def doctor(ctl: Ctl, status: int) -> dict[str, list[dict[str, str]]]:
    done = ctl("doctor", "--json")
    assert done.returncode == status, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] == (status == 0)
    checks: dict[str, list[dict[str, str]]] = {}
    for check in found["checks"]:
        assert set(check) == {"check", "level", "message", "remedy"}
        assert check["remedy"] or check["level"] == "ok"
        checks.setdefault(check["check"], []).append(check)
    return checks


def test_doctor_finds_a_healthy_machine_healthy(ctl: Ctl) -> None:
    ctl.json("init", "--profile", "tiny")
    checks = doctor(ctl, 0)
    assert {name for name, found in checks.items() if found[0]["level"] == "ok"} >= {
        "settings", "python", "packages", "torch", "home", "logs", "runtime", "disk"
    }  # fmt: skip
    assert "processors" in checks["load"][0]["message"]
    assert "thorctl start" in checks["thord"][0]["remedy"]
    assert ("ok" if library.path().is_file() else "warn") == checks["kernel"][0]["level"]
    assert "thorctl ingest" in checks["data"][0]["remedy"]


def test_doctor_finds_everything_that_is_wrong_at_once(ctl: Ctl, tmp_path: Path) -> None:
    with socket.socket() as busy, socket.socket(socket.AF_UNIX) as stale:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        home = tmp_path / "home"
        (home / "run").mkdir(parents=True)
        stale.bind(str(home / "run/control.sock"))
        (home / "logs").write_text("in the way")
        (home / "thord.toml").write_text(f"[api]\nport = {busy.getsockname()[1]}\n[training]\ndevice = 'cuda'\n")
        checks = doctor(ctl, 1)
        assert checks["port"][0]["level"] == "fail"
        assert checks["logs"][0]["level"] == "fail"
        assert "killed" in checks["thord"][0]["message"]
        (home / "thord.toml").write_text("[api\n")
        assert doctor(ctl, 1)["settings"][0]["level"] == "fail"


def test_doctor_plans_a_model(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thord.toml").write_text(
        '[model]\npreset = "large"\n[training]\ndevice = "cpu"\nlength = 64\nbatch_size = 2\n'
    )
    found = json.loads(ctl("doctor", "--plan", "--preset", "tiny", "--json").stdout)
    assert (found["family"], found["device"], found["batch_size"]) == ("thor", "cpu", 2)
    assert 1 << 20 < found["parameters"] < 10 << 20
    assert 4 * found["parameters"] < found["training_bytes"] < found["available_bytes"]
    told = plan.lines(found)
    assert told["computes on"].endswith(" GFLOP/s")
    assert told["speed"].endswith(f" tokens/s, {found['share_of_gemm']:.0%} of those GFLOP/s")
    assert told["settings"] == "batch_size 2, accumulation 1"
    assert plan.lines(found | {"batch_size": 0})["settings"].startswith("not even one row fits")
    refused = ctl("doctor", "--plan", "--preset", "huge")
    assert refused.returncode == 2
    assert refused.stderr.startswith("thorctl: model: family 'thor' has no preset 'huge'; it has tiny")
    assert len(refused.stderr.splitlines()) == 1


def test_doctor_goes_through_the_sizes_until_one_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names are the engine's. Measuring each is tested above, and takes a minute for all."""
    measured = {"parameters": 1e6, "training_bytes": 5 << 20, "tokens_per_second": 10.0, "available_bytes": 10 << 20}
    answers, fits = {"tiny": 3, "small": 6}, {"tiny": 4, "small": 4, "base": 0}

    def measure(_: object, name: str | None) -> dict[str, object]:
        size = str(name)
        return measured | {"inference_bytes": answers.get(size, 1) << 20, "batch_size": fits[size]}

    monkeypatch.setattr(plan, "_measured", measure)
    (tmp_path / "thord.toml").write_text("")
    words = ["doctor", "-H", str(tmp_path), "--plan", "--preset", "all"]
    assert main(words) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == list(plan.HEAD)
    assert [line.split()[0] for line in told[1:-1]] == ["tiny", "small", "base"]
    assert "does not fit" in told[3]
    assert told[-1] == "the largest that can be trained here while it answers: tiny (model.preset)"
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["largest"], [each["preset"] for each in found["sizes"]]) == ("tiny", ["tiny", "small", "base"])
    assert plan.largest([each | {"batch_size": 0} for each in found["sizes"]]) is None


def test_doctor_looks_into_a_running_thord(stand_in: StandIn, ctl: Ctl) -> None:
    status = json.loads(json.dumps(stand_in.answers["GET", "/v1/status"][1]))
    status["state"] = "degraded"
    status["workers"]["server"]["state"] = "failed"
    stand_in.answers["GET", "/v1/status"] = (200, status)
    logs = stand_in.home / "logs"
    logs.mkdir()
    (logs / "server.log").write_text('{"at": "2026-01-01T00:00:00Z", "level": "error", "event": "it broke"}\n')
    checks = doctor(ctl, 1)
    assert "profile tiny, chosen by --profile" in checks["settings"][0]["message"]
    assert checks["thord"][0]["level"] == "fail"
    assert "thorctl logs server" in checks["server"][0]["remedy"]
    assert "it broke" in checks["logs"][1]["message"]
    assert "thorctl quarantine" in checks["quarantine"][0]["remedy"]
    (logs / "thord.log").write_text('{"at": "2026-01-01T00:00:10Z", "level": "info", "event": "settings reloaded"}\n')
    assert len(doctor(ctl, 1)["logs"]) == 1, "what was mended is not warned of any more"


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


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install_service, "thord_command", lambda: ["/bin/true"])


@pytest.mark.parametrize("user", [False, True])
@pytest.mark.parametrize("version", [252, 255])
@pytest.mark.usefixtures("installed")
def test_systemd_accepts_the_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: bool, version: int) -> None:
    monkeypatch.setattr(systemd, "version", lambda: version)
    unit = tmp_path / "thord.service"
    unit.write_text(install_service.unit_text(user=user, socket_activation=True, keys="keys"))
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
    steps = list(install_service.steps(user=True, uninstall=False))
    assert [step.what for step in steps] == [f"write {unit}", f"write {settings}"]
    assert not unit.exists(), "nothing is done before a step is taken"
    for step in steps:
        step.do()
    assert "ExecStart=/bin/true\n" in unit.read_text()
    assert f'Environment="XDG_STATE_HOME={tmp_path / "state"}"' in unit.read_text()
    settings.write_text("# mine")
    for step in install_service.steps(user=True, uninstall=False):
        step.do()
    assert settings.read_text() == "# mine"
    for step in install_service.steps(user=True, uninstall=False, socket_activation=True):
        step.do()
    assert "Requires=thord.socket\nAfter=thord.socket\n" in unit.read_text()
    assert unit.with_name("thord.socket").exists()
    for step in install_service.steps(user=True, uninstall=True):
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
    monkeypatch.setattr(install_service, "thord_command", lambda: [str(command)])
    with pytest.raises(install_service.errors.ThordError, match="closed to others"):
        list(install_service.steps(user=False, uninstall=False))


def test_a_unit_is_told_its_folders_by_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIGURATION", "STATE", "LOGS", "RUNTIME"):
        assert as_unit() is None
        monkeypatch.setenv(f"{name}_DIRECTORY", f"/x/{name.lower()}/thord")
    paths = as_unit()
    assert paths is not None
    assert paths.config == Path("/x/configuration/thord/thord.toml")
    assert paths.control_socket == Path("/x/runtime/thord/control.sock")
    assert at_home(Path("/h")).control_socket == Path("/h/run/control.sock")
