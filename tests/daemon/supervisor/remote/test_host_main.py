"""``thord worker`` says what it lacks, in one line."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("settings", "status", "said"),
    [
        ([], 1, "set integrations.redis.secret_file"),
        (["integrations.redis.secret_file=SECRET"], 1, "set worker.key_file"),
        (["worker.url=ftp://example.org"], 2, "the address must begin with http"),
        (["worker.url=http://example.org:99999"], 2, "Port out of range"),
    ],
)
def test_what_is_missing_is_named_without_a_traceback(
    settings: list[str], status: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("hunter2 hunter2 hunter2")
    options = [word.replace("SECRET", str(tmp_path / "secret")) for each in settings for word in ("--set", each)]
    command = [sys.executable, "-m", "daemon.supervisor.main", "worker", "--home", tmp_path / "home", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr
    assert done.stderr.startswith("thord worker: ")
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_the_worker_itself_never_imports_torch(tmp_path: Path) -> None:
    code = "import sys; import daemon.supervisor.remote.host.rq_worker, daemon.supervisor.remote.host.main; "
    done = subprocess.run(
        [sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
