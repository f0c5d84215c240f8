"""``thorctl completion``: what the shells complete."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from control.setup.settings_file import preset_names, setting_names
from daemon.settings.sections import Tables
from engine.families.table import FAMILIES
from tests.control.stand_in import REPOSITORY, Ctl, StandIn


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    return Ctl(tmp_path_factory.mktemp("home"))("completion", "bash").stdout


def completed(script: str, *words: str, path: Path | None = None) -> list[str]:
    """What bash offers in place of the last word."""
    line = " ".join(words)
    probe = (
        f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; COMP_POINT={len(line)};"
        f'_shtab_thorctl thorctl "{words[-1]}" "{words[-2]}"; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    environment = os.environ | {"PATH": f"{path}:{os.environ['PATH']}"} if path else None
    done = subprocess.run(["bash", "-uc", probe], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.split()


def test_bash_completes_commands_and_fixed_names(script: str) -> None:
    assert completed(script, "thorctl", "ro") == ["rollback"]
    assert completed(script, "thorctl", "logs", "mon") == ["monitor"]
    assert completed(script, "thorctl", "doctor", "--preset", "atlas") == ["atlas-1.1b"]
    assert completed(script, "thorctl", "start", "--set", "training.ep") == ["training.epochs="]


def test_bash_asks_the_thord_of_the_command_line_for_versions_and_cycles(
    script: str, stand_in: StandIn, tmp_path: Path
) -> None:
    thorctl = tmp_path / "thorctl"
    thorctl.write_text(f'#!/bin/sh\ncd {REPOSITORY} && exec {sys.executable} -m control.cli.main "$@"\n')
    thorctl.chmod(0o755)
    words = ("thorctl", "-H", str(stand_in.home))
    assert completed(script, *words, "promote", "1", path=tmp_path) == ["12", "11"]
    assert completed(script, *words, "cycle", "7", path=tmp_path) == ["7"]


def test_a_thord_that_is_down_has_the_versions_on_disk(ctl: Ctl) -> None:
    assert ctl.json("completion", "--names", "versions") == []
    for name in ("000002", "000010", ".draft"):
        (ctl.home / "models/versions" / name).mkdir(parents=True)
    assert ctl.json("completion", "--names", "versions") == ["10", "2"]
    assert ctl.json("completion", "--names", "cycles") == []
    assert ctl("completion").returncode == 2


def test_presets_and_settings_are_those_that_there_are() -> None:
    assert set(preset_names()) == {size for family in FAMILIES.values() for size in family.presets}
    for name in setting_names():
        functools.reduce(getattr, name.split("."), Tables())  # or AttributeError


@pytest.mark.parametrize("shell", ["zsh", "tcsh", "fish"])
def test_other_shells_get_a_script_too(ctl: Ctl, shell: str) -> None:
    script = ctl("completion", shell).stdout
    assert "rollback" in script
    assert "completion --names" in script
