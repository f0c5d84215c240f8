"""``thorctl doctor``: a healthy machine, a broken one, and what a model needs."""

import json
import socket
from pathlib import Path

import pytest

from control.cli.main import main
from control.doctor import sizing
from engine.native import library
from tests.control.stand_in import Ctl, StandIn


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
    variant = library.chosen()
    assert checks["kernel"][0]["level"] == ("ok" if variant else "warn")
    assert variant is None or variant.name in checks["kernel"][0]["message"]
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


def test_each_warning_about_settings_has_the_remedy_for_where_it_is_set(
    ctl: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RQ__RETRY_MAXIMUM", "3")
    monkeypatch.setenv("SECURITY__API_KEY", "")
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thord.toml").write_text("profile = 'tiny'\n[training]\nlength = 64\n")
    checks = doctor(ctl, 0)
    unread, empty = checks["environment"]
    assert unread["message"] == "environment RQ__RETRY_MAXIMUM: thord does not read it; did you mean RQ__RETRY_MAX?"
    assert unread["remedy"] == "remove it there, or correct its name"
    assert "SECURITY__API_KEY is empty" in empty["message"]
    assert empty["remedy"] == "set it, or remove it"
    renamed = checks["settings"][-1]
    assert "thord.toml: training.length was renamed to training.sequence_length" in renamed["message"]
    assert (renamed["level"], renamed["remedy"]) == ("warn", "use the new name there")


def test_doctor_plans_a_model(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thord.toml").write_text(
        '[model]\npreset = "large"\n[training]\ndevice = "cpu"\nsequence_length = 64\nbatch_size = 2\n'
    )
    found = json.loads(ctl("doctor", "--plan", "--preset", "tiny", "--json", timeout=170).stdout)
    assert (found["family"], found["device"], found["batch_size"]) == ("thor", "cpu", 2)
    assert 1 << 20 < found["parameters"] < 10 << 20
    assert 4 * found["parameters"] < found["training_bytes"] < found["available_bytes"]
    told = sizing.lines(found)
    assert told["computes on"].endswith(" GFLOP/s")
    assert told["speed"].endswith(f" tokens/s, {found['share_of_gemm']:.0%} of those GFLOP/s")
    assert told["settings"] == "batch_size 2, gradient_accumulation 1"
    assert sizing.lines(found | {"batch_size": 0})["settings"].startswith("not even one row fits")
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

    monkeypatch.setattr(sizing, "_measured", measure)
    (tmp_path / "thord.toml").write_text("")
    words = ["doctor", "-H", str(tmp_path), "--plan", "--preset", "all"]
    assert main(words) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == list(sizing.HEAD)
    assert [line.split()[0] for line in told[1:-1]] == ["tiny", "small", "base"]
    assert "does not fit" in told[3]
    assert told[-1] == "the largest that can be trained here while it answers: tiny (model.preset)"
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["largest"], [each["preset"] for each in found["sizes"]]) == ("tiny", ["tiny", "small", "base"])
    assert sizing.largest([each | {"batch_size": 0} for each in found["sizes"]]) is None


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
