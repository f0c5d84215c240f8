"""thord under a real systemd: the checks of `systemd_checks` run inside a throw-away system.

THORD_SYSTEMD_BOX names a command that runs ``SCRIPT`` under a systemd of its own, over a copy of this machine that is
thrown away: ``BOX_SECONDS`` is its limit, ``BOX_OUT`` a folder it shares with us.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BOX = os.environ.get("THORD_SYSTEMD_BOX")
SECONDS = 400


@pytest.mark.systemd
@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.skipif(BOX is None, reason="NOT TESTED UNDER SYSTEMD: THORD_SYSTEMD_BOX names no command to run one")
def test_under_a_real_systemd(tmp_path: Path) -> None:
    script = tmp_path / "inside"
    pytest_command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "tests/e2e/systemd_checks.py"]
    forget_earlier_tries = "rm -rf /etc/thord /var/lib/thord /var/log/thord"
    script.write_text(f"{forget_earlier_tries}\ncd {shlex.quote(str(REPOSITORY))}\nexec {shlex.join(pytest_command)}\n")
    environment = {**os.environ, "BOX_SECONDS": str(SECONDS)}
    done = subprocess.run(
        [str(BOX), str(script)], env=environment, cwd="/", umask=0o022, capture_output=True, text=True, check=False
    )
    print(done.stdout[-20_000:], done.stderr[-2000:])
    assert done.returncode == 0
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
