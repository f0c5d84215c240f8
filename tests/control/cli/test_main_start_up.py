"""thorctl starts at once: what everyday commands may not import."""

import json
import subprocess
import sys

import pytest

from tests.control.stand_in import REPOSITORY, StandIn

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
