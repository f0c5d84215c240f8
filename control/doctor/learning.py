"""Checks of what thord learns from and answers with: watched folders, data, the model."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from control.doctor.context import Finding
from control.paths import WATCHED
from control.setup.watched_folders import missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from control.doctor.context import Context


def watched(context: Context) -> Iterator[Finding]:
    """Whether the folders of ``paths.watch`` exist."""
    for problem in missing(context.settings):
        yield Finding("watch", "warn", problem, f"create it, or correct {context.paths.config}, then: thorctl reload")


def model(context: Context) -> Iterator[Finding]:
    """Whether a version is in service."""
    if context.status and context.status["version"] is None:
        remedy = (
            "thorctl import starter --promote, for one that talks; or thorctl ingest FILE, to train one from scratch"
        )
        yield Finding("model", "warn", "no version serves yet", remedy)


def data(context: Context) -> Iterator[Finding]:
    """Whether there is anything to learn from, and whether any of it was refused."""
    inbox = context.paths.inbox
    if context.status is not None:
        counts = context.status["conversations"]
        known = sum(count for name, count in counts.items() if isinstance(count, int) and name != "quarantined")
        if counts["quarantined"]:
            yield Finding(
                "quarantine",
                "warn",
                f"{counts['quarantined']} files or records were refused",
                "thorctl quarantine says why",
            )
        if known:
            yield Finding("data", "ok", f"{known} conversations, {counts['new']} of them new")
            return
    if not any(_has_a_file(inbox / name) for name in WATCHED):
        yield Finding("data", "warn", f"no conversation in {inbox}", "thorctl ingest FILE")
    elif context.status is None:
        yield Finding("data", "ok", f"there are files in {inbox}")
    else:
        yield Finding("data", "warn", f"there are files in {inbox}, but none was read", "thorctl logs intake")


def _has_a_file(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return any(file.is_file() for file in folder.rglob("*"))
    return False
