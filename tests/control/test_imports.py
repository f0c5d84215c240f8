"""thorctl must feel instant: what it may not import, and that completion knows every command."""

import json
import subprocess
import sys

import pytest

from tests.control.stand_in import REPOSITORY, Ctl, StandIn

HEAVY = set(
    "torch numpy pydantic rich click asyncio fastapi starlette structlog psutil shtab tomli_w dataclasses inspect "
    "subprocess shutil daemon engine".split()
)


def imported_by(stand_in: StandIn, *words: str) -> set[str]:
    code = (
        "import json, sys; from control.cli.main import main;"
        f"main({['-H', str(stand_in.home), *words]!r}); print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    "words", [["status"], ["status", "--json"], ["cycles"], ["data"], ["versions"], ["generate", "x"]]
)
def test_everyday_commands_import_nothing_heavy(stand_in: StandIn, words: list[str]) -> None:
    assert imported_by(stand_in, *words) & HEAVY == set()


def test_bash_completes_every_command(ctl: Ctl) -> None:
    script = ctl("completion", "bash").stdout
    probe = (
        f"{script}\nCOMP_WORDS=(thorctl ro); COMP_CWORD=1; COMP_LINE='thorctl ro'; COMP_POINT=10;"
        '_shtab_thorctl thorctl ro thorctl; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["rollback"]


@pytest.mark.parametrize("shell", ["zsh", "tcsh", "fish"])
def test_other_shells_get_a_script_too(ctl: Ctl, shell: str) -> None:
    assert "rollback" in ctl("completion", shell).stdout
