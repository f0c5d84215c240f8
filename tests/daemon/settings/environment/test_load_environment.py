"""Variables and ``.env`` as a user has them: what ``load`` makes of them, and what thord does with them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from control.paths import Paths, at_home, find
from daemon.api_keys import Keys, keys_files, write_key
from daemon.settings.environment.variables import FAMILIES
from daemon.settings.load import Loaded, SettingsError, load
from daemon.settings.secrets import masked
from daemon.supervisor import home
from daemon.supervisor.start_error import StartError


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    for name in [name for name in os.environ if name.startswith(("THORD", *FAMILIES))]:
        monkeypatch.delenv(name)
    return at_home(tmp_path)


def write(paths: Paths, text: str, name: str = ".env") -> Path:
    file = paths.state / name
    file.write_text(text)
    file.chmod(0o600)
    return file


def test_env_of_the_home_lies_between_thord_toml_and_the_environment(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.config.write_text('[supervision]\nlog_level = "error"\n[training]\nthreads = 5\n')
    file = write(paths, "LOGGING__LEVEL=DEBUG\nAPP__THREADS=2\nTHORD__API__PORT=7\nHF_TOKEN=t\n")
    monkeypatch.setenv("APP__THREADS", "3")
    loaded = load(paths, overrides=["inference.threads=4"])
    tables = loaded.tables
    assert (tables.supervision.log_level, tables.api.port) == ("debug", 7)
    assert (tables.training.threads, tables.inference.threads) == (3, 4)
    assert loaded.origins["supervision.log_level"] == f"{file} LOGGING__LEVEL"
    assert loaded.origins["training.threads"] == "environment APP__THREADS"
    assert loaded.libraries == {"HF_TOKEN": "t"}


def test_a_named_file_takes_the_place_of_that_of_the_home(paths: Paths) -> None:
    write(paths, "LOGGING__LEVEL=DEBUG\n")
    named = write(paths, "APP__THREADS=2\n", "production.env")
    tables = load(paths, variables=named).tables
    assert (tables.supervision.log_level, tables.training.threads) == ("info", 2)
    with pytest.raises(SettingsError, match=r"missing.env: cannot be read"):
        load(paths, variables=paths.state / "missing.env")


def test_the_data_root_is_the_home(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP__DATA_ROOT", str(paths.state))
    assert find() == paths
    assert load(paths).warnings == ()
    assert find("/elsewhere").state == Path("/elsewhere")
    monkeypatch.setenv("THORD_HOME", "/elsewhere")
    with pytest.raises(SettingsError, match=r"THORD_HOME and environment APP__DATA_ROOT name different folders"):
        load(find())
    monkeypatch.delenv("THORD_HOME")
    monkeypatch.delenv("APP__DATA_ROOT")
    write(paths, "APP__DATA_ROOT=/elsewhere\n")
    with pytest.raises(SettingsError, match=r"a file in .* cannot choose another home"):
        load(paths)


def test_an_api_key_is_in_no_text_and_in_a_file_of_its_owner_alone(paths: Paths) -> None:
    file = write(paths, "SECURITY__API_KEY=hunter2\nAPP__DATA_BANK_API_KEY=swordfish\n")
    loaded = load(paths)
    assert loaded.secrets.api_key == "hunter2"
    for text in (repr(loaded), loaded.tables.model_dump_json(), str(loaded.origins), str(loaded.warnings)):
        assert "hunter2" not in text
        assert "swordfish" not in text
    home.prepare(paths)
    write_key(paths.api_key_file, loaded.secrets.api_key)
    assert paths.api_key_file.stat().st_mode & 0o777 == 0o600
    assert "hunter2" not in paths.api_key_file.read_text()
    keys = Keys(keys_files(None, {}, paths.api_key_file))
    assert keys.required
    assert keys.scopes(b"hunter2") == {"read", "generate", "train"}
    assert keys.scopes(b"hunter3") is None
    write_key(paths.api_key_file, None)
    assert not Keys(keys_files(None, {}, paths.api_key_file)).required
    file.chmod(0o644)
    (warning,) = load(paths).warnings
    assert warning == f"{file} holds a key and can be read by every user of this machine: chmod o-rwx {file}"


def test_the_keys_file_and_the_variable_both_open_the_api(paths: Paths) -> None:
    home.prepare(paths)
    (paths.state / "keys").write_text("ann:generate\n")
    write_key(paths.api_key_file, "hunter2")
    keys = Keys(keys_files(str(paths.state / "keys"), {}, paths.api_key_file))
    assert keys.scopes(b"ann") == {"generate"}
    assert keys.scopes(b"hunter2") == {"read", "generate", "train"}


def test_a_key_can_be_in_a_file(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(paths, "hunter2\n", "key")
    monkeypatch.setenv("SECURITY__API_KEY_FILE", str(file))
    loaded = load(paths)
    assert (loaded.secrets.api_key, loaded.warnings) == ("hunter2", ())
    monkeypatch.setenv("SECURITY__API_KEY", "other")
    with pytest.raises(SettingsError, match=r"SECURITY__API_KEY and environment SECURITY__API_KEY_FILE: remove one"):
        load(paths)
    monkeypatch.delenv("SECURITY__API_KEY")
    file.unlink()
    with pytest.raises(SettingsError, match=r"SECURITY__API_KEY_FILE: .* cannot be read"):
        load(paths)


def test_in_production_an_open_api_is_refused(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "prod")

    def loaded(host: str) -> Loaded:
        return load(paths, overrides=[f"api.host={host}"])

    assert loaded("127.0.0.1")
    with pytest.raises(SettingsError, match=r"--set api.host=0.0.0.0: .* set SECURITY__API_KEY or api.keys_file"):
        loaded("0.0.0.0")
    monkeypatch.setenv("SECURITY__API_KEY", "k")
    assert loaded("0.0.0.0")


def test_folders_elsewhere_are_links_in_the_home(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP__RUNS_ROOT", str(tmp_path / "other/runs"))
    monkeypatch.setenv("APP__ARTIFACTS_ROOT", str(paths.artifacts))
    wanted = load(paths).tables.paths
    for _ in range(2):
        home.prepare(paths, wanted)
        assert paths.runs.resolve() == tmp_path / "other/runs"
        assert not paths.artifacts.is_symlink()
    (paths.runs / "000001").mkdir()
    monkeypatch.setenv("APP__LOGS_ROOT", str(tmp_path / "other/logs"))
    (paths.logs / "thord.log").write_text("{}\n")
    with pytest.raises(StartError, match=r"logs a link to .*: it holds files; move them there, or unset paths.logs"):
        home.prepare(paths, load(paths).tables.paths)


def test_passwords_in_addresses_are_masked() -> None:
    shown = masked({"a": {"url": "redis://:pa:ss@host/0", "list": ["http://u:p@h/x"]}, "b": "http://h:80/@"})
    assert shown == {"a": {"url": "redis://:***@host/0", "list": ["http://u:***@h/x"]}, "b": "http://h:80/@"}


@pytest.mark.parametrize("file", ["docs/environment.md", ".env.example"])
def test_what_is_generated_is_up_to_date(file: str) -> None:
    root = Path(__file__).parents[4]
    command = [sys.executable, "-m", "daemon.settings.environment.reference", file]
    made = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout
    assert (root / file).read_text() == made, "run make docs"
