"""Arguments that several commands share: workers, a text, a version that need not be in service."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from control import errors
from control.cli.parser import WORKERS, Options
from control.client import Thord, version_number

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


class WorkerOptions(Options):
    """What commands on the service or on workers are given."""

    workers: list[str]


def add_workers(command: argparse.ArgumentParser) -> None:
    """Declare the workers that a command is limited to; none named means the whole service."""
    command.add_argument("workers", nargs="*", metavar="WORKER", help=f"of {', '.join(WORKERS)}")


class TextOptions(Options):
    """What a command on one text is given."""

    text: str | None


def add_text(command: argparse.ArgumentParser) -> None:
    """Declare the text of a command."""
    command.add_argument("text", nargs="?", metavar="TEXT", help="the text; '-' or nothing reads standard input")


def text_of(options: TextOptions) -> str:
    """The text given, or standard input; bytes that are not UTF-8 become U+FFFD.

    Raises:
        UsageError: there is none.
    """
    if options.text is not None and options.text != "-":
        return os.fsencode(options.text).decode(errors="replace")
    text = sys.stdin.buffer.read().decode(errors="replace")
    if not text:
        raise errors.UsageError("no text: give it as an argument, or on standard input")
    return text


def version_folder(thord: Thord, version: str | None) -> Path:
    """The folder of a version; without a name, of the one in service. thord need not run.

    Raises:
        UsageError: that is not the name of a version.
        NotFoundError: there is none.
    """
    if version is None:
        if not thord.paths.current.is_dir():
            raise errors.NotFoundError("no version is in service yet; name one with --version")
        return thord.paths.current.resolve()
    folder = thord.paths.version(version_number(version))
    if not folder.is_dir():
        raise errors.NotFoundError(f"there is no version {version}; 'thorctl versions' lists them")
    if not any((folder / file).exists() for file in ("model.safetensors", "adapter_model.safetensors")):
        raise errors.NotFoundError(
            f"the weights of version {version} were removed; 'thorctl version {version}' says when and why"
        )
    return folder
