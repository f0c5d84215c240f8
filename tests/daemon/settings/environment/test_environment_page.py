"""The commands of docs/environment.md, in one shell, with the settings that a user has."""

import os
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[4]


def test_the_commands_of_environment_md(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs/environment.md").read_text()
    blocks = re.findall(r"<!-- run by \S+ -->\n```sh\n(.*?)```", page, re.DOTALL)
    environment = {
        **os.environ,
        "THORD_HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    (tmp_path / ".env").write_text("APP__THREADS=2\n")
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input="".join(blocks),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 'log_level = "debug"  # environment LOGGING__LEVEL\n' in done.stdout
    assert f"{tmp_path / 'thord.toml'} is fine" in done.stdout
