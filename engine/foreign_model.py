"""Models from elsewhere, and for elsewhere: what their importers and exporters have in common."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from engine.artifacts import ArtifactError


class ForeignModelError(Exception):
    """A model that cannot be imported, or exported, as it was asked to; the message says why, and what to do.

    It is one line even where it quotes a damaged file.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(character if character.isprintable() else "\ufffd" for character in message))


def export_parser(description: str, target: str) -> argparse.ArgumentParser:
    """The command line of an exporter: ``version``, the folder of one, and ``target``, shown under that name."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("version", type=Path, metavar="VERSION_FOLDER")
    parser.add_argument("target", type=Path, metavar=target)
    return parser


def export_status(write: Callable[[], object]) -> int:
    """The exit status of an exporter that writes: 0, or 1 and the reason on standard error."""
    try:
        write()
    except (ArtifactError, ForeignModelError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
