"""``thorctl completion``: what the shells complete."""

import subprocess

import pytest

from tests.control.stand_in import Ctl


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
