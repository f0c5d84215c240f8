"""A key in the environment or in ``.env``: what processes, files and clients get to see of it."""

import json
from pathlib import Path

from daemon.api_keys import Keys
from tests.daemon.supervisor.scripted import StartThord
from tests.daemon.supervisor.test_main import call

KEY, BANK_KEY = "correct-horse-battery", "swordfish-swordfish"


def test_a_key_of_the_environment_is_nowhere_but_in_its_own_file(thord: StartThord) -> None:
    keys = {"SECURITY__API_KEY": KEY, "APP__DATA_BANK_API_KEY": BANK_KEY}
    it = thord(environment={**keys, "LOGGING__LEVEL": "DEBUG"})
    configuration = call(it, "/v1/config")
    assert configuration["origins"]["supervision.log_level"] == "environment LOGGING__LEVEL"
    shown = json.dumps(configuration) + json.dumps(call(it, "/v1/status"))
    assert KEY not in shown
    assert BANK_KEY not in shown
    for process in it.family():
        environment = Path(f"/proc/{process.pid}/environ").read_text()
        assert KEY not in environment
        assert BANK_KEY not in environment
    assert it.paths.data_bank_key_file.stat().st_mode & 0o777 == 0o600
    assert it.paths.api_key_file.stat().st_mode & 0o777 == 0o600
    assert Keys([it.paths.api_key_file]).scopes(KEY.encode()) == {"read", "generate", "train"}
    assert it.stop() == 0
    for file in it.home.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert KEY.encode() not in content, file
        assert BANK_KEY.encode() not in content or file == it.paths.data_bank_key_file, file


def test_a_reload_reads_env_again(thord: StartThord) -> None:
    it = thord()
    assert not it.paths.api_key_file.exists()
    (it.home / ".env").write_text(f"SECURITY__API_KEY={KEY}\nSUPERVISION=1\nTHORD__DATA__MIN_CONVERSATIONS=3\n")
    (it.home / ".env").chmod(0o600)
    assert call(it, "/v1/reload", "POST")["applied"] == ["data.min_conversations"]
    assert Keys([it.paths.api_key_file]).scopes(KEY.encode())
    (it.home / ".env").unlink()
    call(it, "/v1/reload", "POST")
    assert not it.paths.api_key_file.exists()
