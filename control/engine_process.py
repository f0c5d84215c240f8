"""Work that needs the engine: done by another interpreter, since thorctl itself imports nothing heavy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from control import errors, exit_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from control.answers import Json
    from control.paths import Paths

_HERE = Path(__file__).resolve().parent.parent


def run(module: str, arguments: Sequence[str], text: str | None = None, *, show_progress: bool = False) -> str:
    """Run a module of the engine, with ``text`` on its standard input; what it printed.

    With ``show_progress`` its standard error is this process's, and it gives the reason of a failure on the other.

    Raises:
        ThordError: it failed, with what it said.
        UsageError: what it was given is wrong.
        NotFoundError: what it was asked for does not exist.
    """
    import subprocess  # only here: it is slow to import, and most commands do without

    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command,
        input=text,
        stdout=subprocess.PIPE,
        stderr=None if show_progress else subprocess.PIPE,
        encoding="utf-8",
        cwd=_HERE,
        check=False,
    )
    reason = (done.stdout if show_progress else done.stderr).strip()
    if done.returncode == exit_status.USAGE:
        raise errors.UsageError(reason)
    if done.returncode == exit_status.NOT_FOUND:
        raise errors.NotFoundError(reason)
    if done.returncode:
        raise errors.ThordError(reason or f"{module} ended with status {done.returncode}")
    return done.stdout


def ask(module: str, paths: Paths, **asked: Json) -> str:
    """The answer, as JSON, of a module that is asked about a thord, which need not run.

    Raises:
        ThordError: what it reads cannot be read.
        UsageError: what was asked, or the settings of this thord, are wrong.
        NotFoundError: what was asked for does not exist.
    """
    return run(module, [], text=json.dumps({"places": [str(place) for place in paths], **asked}))
