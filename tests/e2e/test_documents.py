"""Every command of README runs, in the order of the page; a command elsewhere names the test that runs it."""

import os
import re
import shlex
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.service import REPOSITORY, Service

ELSEWHERE = re.compile(r"<!-- run by (?P<test>\S+) -->\n```sh\n(?P<commands>.*?)```", re.DOTALL)
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^(thorctl|thord|python|make|pip|sudo|systemctl|curl|tensorboard|export) ", re.MULTILINE)
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
MAKE_ITSELF = {"make test"}  # what runs these tests


def commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks, but those that another test says it runs."""
    text = ELSEWHERE.sub("", page.read_text())
    blocks = [block["text"] for block in BLOCK.finditer(text) if block["language"] == "sh"]
    lines = [line.split("  #")[0].rstrip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#") and line not in MAKE_ITSELF]


@pytest.mark.timeout(400)
def test_the_readme_works_as_written(stopped: Service, tmp_path: Path) -> None:
    """One shell runs all of it, on a home of its own, with the settings that a user has; only the port is another."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {"THORD__API__PORT": str(port)}
    script = ["set -euo pipefail", f"cd {REPOSITORY}"]
    for command in commands(REPOSITORY / "README.md"):
        for written, ours in (("talk.jsonl", str(tmp_path / "talk.jsonl")), (":8000", f":{port}")):
            command = command.replace(written, ours)
        if command == "make demo":  # it takes a port of its own
            command = f"env {' '.join(f'--unset={name}' for name in variables)} {command}"
        script += [f"echo {shlex.quote(command)} >&2", command]
    environment = {**os.environ, **variables, "THORD_HOME": str(stopped.home)}
    shell = ["bash", "-c", "\n".join(script)]
    done = subprocess.run(shell, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "version 000001 serves now" in done.stdout
    assert Service.gone(stopped.family(), seconds=1) is None


def test_commands_that_run_elsewhere_are_in_the_test_that_is_named() -> None:
    """With what they run and each option: the test may give other values, or take the lines from the page."""
    for page in PAGES:
        for block in ELSEWHERE.finditer(page.read_text()):
            test = (REPOSITORY / block["test"]).read_text()
            for command in block["commands"].splitlines():
                _, *words = shlex.split(command, comments=True)
                said = [word for word in words if word.startswith("--")] + words[words[0] == "-m" :][:1]
                missing = [word for word in said if f'"{word}"' not in test]
                assert page.name in test or not missing, (page.name, command, missing)


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.name)
def test_no_command_is_left_to_nobody(page: Path) -> None:
    text = ELSEWHERE.sub("", page.read_text())
    assert [block[0] for block in BLOCK.finditer(text) if block["language"] == "sh" or COMMAND.search(block[0])] == []
