"""Every command of README runs, in the order of the page; a command elsewhere names the test that runs it.

README's walk trains a real model, which takes minutes: ``make walk``. ``.ci/run`` runs it, and the demonstration.
"""

import os
import re
import shlex
import socket
import subprocess
from pathlib import Path

import pytest

from control import paths
from control.starter import fetching
from control.starter.catalog import STARTER
from control.terminal import transfer
from tests.e2e.service import REPOSITORY, Service

ELSEWHERE = re.compile(r"<!-- run by (?P<test>\S+) -->\n```sh\n(?P<commands>.*?)```", re.DOTALL)
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^(thorctl|thord|python|make|pip|sudo|systemctl|curl|tensorboard|export) ", re.MULTILINE)
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
BY_CI = {"make test", "make demo"}  # what runs these tests, and what .ci/run runs beside them


FILE = re.compile(r"`((?:bench|control|daemon|demo|docs|engine|etc|examples|systemd|tests)/[\w./-]+)`")


def test_files_that_pages_name_exist() -> None:
    named = {(page.name, file) for page in PAGES for file in FILE.findall(page.read_text())}
    placeholders = re.compile(r"NAME|ROOM")
    assert not [
        each for each in sorted(named) if not placeholders.search(each[1]) and not (REPOSITORY / each[1]).exists()
    ]


def commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks, but those that another test says it runs."""
    text = ELSEWHERE.sub("", page.read_text())
    blocks = [block["text"] for block in BLOCK.finditer(text) if block["language"] == "sh"]
    lines = [line.split("  #")[0].rstrip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#") and line not in BY_CI]


@pytest.mark.walk
@pytest.mark.timeout(900)
def test_the_readme_works_as_written(stopped: Service, tmp_path: Path) -> None:
    """One shell runs all of it, with the settings that a user has: only places and the port are other ones."""
    _fetch_the_starter(stopped)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    elsewhere = {
        f" {name}": f" {tmp_path / name.removeprefix('~/')}" for name in ("talk.jsonl", "library.jsonl", "~/scratch")
    }
    script = ["set -euo pipefail", f"cd {REPOSITORY}"]
    for command in commands(REPOSITORY / "README.md"):
        for written, ours in (*elsewhere.items(), (":8000", f":{port}")):
            command = command.replace(written, ours)
        script += [f"echo {shlex.quote(command)} >&2", command]
    environment = {**os.environ, "THORD_HOME": str(stopped.home), "THORD__API__PORT": str(port)}
    said = tmp_path / "said.txt"  # a file: it is whole also where this takes too long
    with said.open("w") as file:
        shell = ["bash", "-c", "\n".join(script)]
        process = subprocess.Popen(shell, stdout=file, stderr=subprocess.STDOUT, env=environment)
        try:
            status = process.wait(850)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        finally:
            Service(tmp_path / "scratch").ctl("stop", "--now")
    text = said.read_text()
    assert status == 0, text[-4000:]
    for claim in (
        "The capital of France is Paris",
        "version 000002 serves now",
        "lighthouse of Tharsis is kept by Maren",
    ):
        assert claim in text, text
    assert Service.gone(stopped.family(), seconds=1) is None


def _fetch_the_starter(service: Service) -> None:
    """Into the cache of whoever runs the tests, unless it is there; without it there is nothing to walk on."""
    try:
        fetching.fetched(STARTER, paths.cache(paths.at_home(service.home)), transfer.Lines(json=True))
    except fetching.FetchError as error:
        pytest.skip(f"THE README IS NOT TESTED: {error}")


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
