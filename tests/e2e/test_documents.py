"""Every command in README and docs/ does what the page says, run in the order of the page."""

import os
import re
import shlex
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.service import FAST, REPOSITORY, Service

ELSEWHERE = re.compile(r"<!-- run by (?P<test>\S+) -->\n```sh\n.*?```", re.DOTALL)
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
MAKE_ITSELF = {"make test"}  # what runs these tests


def commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks, but those that another test says it runs."""
    text = ELSEWHERE.sub("", page.read_text())
    lines = [line.split("  #")[0].rstrip() for block in BLOCK.findall(text) for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#") and line not in MAKE_ITSELF]


@pytest.mark.timeout(400)
def test_the_readme_works_as_written(stopped: Service, tmp_path: Path) -> None:
    """One shell runs all of it, on a home of its own, with settings that make a cycle take seconds."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = (*FAST, f"api.port={port}")
    variables = {f"THORD__{key.replace('.', '__').upper()}": value for key, _, value in map(_split, settings)}
    script = ["set -euo pipefail", f"cd {REPOSITORY}"]
    for command in commands(REPOSITORY / "README.md"):
        for written, ours in (("talk.jsonl", str(tmp_path / "talk.jsonl")), (":8000", f":{port}")):
            command = command.replace(written, ours)
        if command == "make demo":  # it brings settings of its own, with which it learns what it asks about
            command = f"env {' '.join(f'--unset={name}' for name in variables)} {command}"
        script += [f"echo {shlex.quote(command)} >&2", command]
    environment = {**os.environ, **variables, "THORD_HOME": str(stopped.home)}
    shell = ["bash", "-c", "\n".join(script)]
    done = subprocess.run(shell, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "000001" in done.stdout
    assert Service.gone(stopped.family(), seconds=1) is None


def _split(setting: str) -> tuple[str, str, str]:
    return setting.partition("=")


def test_blocks_that_run_elsewhere_name_a_test_that_exists() -> None:
    for page in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))):
        for match in ELSEWHERE.finditer(page.read_text()):
            assert (REPOSITORY / match["test"]).exists(), (page, match["test"])
