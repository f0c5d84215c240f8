"""``thorctl doctor``: checks everything thord needs, and says what is wrong and how to fix it.

Each check is a function of the `Context` that yields findings; `CHECKS` lists them in the order in which they run. A
check must not fail because of what it looks for: a broken machine is its normal case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import errors
from control.doctor import compute, installation, learning, machine, running
from control.doctor.context import Context, Finding
from control.service.process import resolve_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from control.answers import Json
    from control.client import Thord

_NOT_READ = ": thord does not read it"
"""How `daemon.settings.environment` words a variable that thord does not read."""
_RENAMED = " was renamed to "
"""How `engine.config.renamed` words a setting under its old name."""

CHECKS: tuple[Callable[[Context], Iterator[Finding]], ...] = (
    installation.python,
    installation.packages,
    compute.torch,
    machine.folders,
    machine.disk,
    machine.load,
    running.thord,
    running.workers,
    running.port,
    learning.watched,
    learning.model,
    learning.data,
    running.logs,
    running.systemd,
    machine.clock,
)


def examine(thord: Thord, home: str | None) -> Iterator[Finding]:
    """Run every check; the findings, each as soon as it is known."""
    status, trouble = None, ""
    try:
        status = thord.status()
    except errors.NotRunningError:
        pass
    except errors.ThordError as error:
        trouble = str(error)
    settings: dict[str, Json] = {}
    try:
        found = resolve_settings(home)
        if status is not None:  # it may have been started with options that the file does not know
            found = thord.configuration()
        settings = found["settings"]
        yield Finding("settings", "ok", f"{thord.paths.config}: profile {found['profile']}, {found['why']}")
        for warning in found.get("warnings", ()):
            yield _of_warning(warning)
    except errors.ThordError as error:
        yield Finding("settings", "fail", str(error), f"edit {thord.paths.config}, then: thorctl config check")
    context = Context(thord.paths, home, status, trouble, settings)
    for check in CHECKS:
        yield from check(context)


def _of_warning(warning: str) -> Finding:
    """A variable that thord does not read, a setting that was renamed, or what says itself what to do."""
    if _NOT_READ in warning:
        return Finding("environment", "warn", warning, "remove it there, or correct its name")
    if _RENAMED in warning:
        return Finding("settings", "warn", warning, "use the new name there")
    message, _, remedy = warning.rpartition(": ")
    return Finding("environment", "warn", message, remedy)
