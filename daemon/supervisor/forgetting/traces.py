"""Texts in records of runs and versions: tokens, examples among figures, answers that an evaluation wrote down.

All of it blocks. What is gone already counts as done.
"""

import json
from collections.abc import Collection, Iterable
from pathlib import Path

from control.paths import Paths
from daemon.supervisor.retention import disk
from daemon.supervisor.store import backup
from engine.disk import write_json

_TOKENS = "data"


def remove_of_runs(paths: Paths, cycles: Collection[int], running: int | None) -> list[str]:
    """Remove what runs of these cycles left, and the tokens of every run that has ended; what could not be is said.

    Tokens are of use only to the run that made them, and which of them hold a text is known only by its cycle.
    """
    parts: list[Path] = []
    for number in disk.numbers(paths.runs):
        if number in cycles:
            parts += [*disk.parts(paths, "run", number), *disk.parts(paths, "figures", number)]
        elif number != running:
            parts += [part for part in disk.parts(paths, "run", number) if part.name == _TOKENS]
    return disk.remove(parts)


def remove_answers(paths: Paths, versions: Iterable[int]) -> list[str]:
    """Take the sample answers out of the evaluations of these versions; what could not be is said."""
    complaints = []
    for number in versions:
        file = paths.version(number) / disk.EVALUATION
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(found, dict) and found.get("samples"):
                write_json(file, {**found, "samples": []})
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            complaints.append(f"{file}: {error}")
    return complaints


def renew_backups(paths: Paths) -> None:
    """Make a backup of the ledger, and remove those that were made before.

    Raises:
        OSError, sqlite3.Error: the backup could not be made; the others stay.
    """
    newest = backup.back_up(paths.ledger, paths.backups)
    for copy in paths.backups.glob(f"{paths.ledger.stem}-*.db"):
        if copy != newest:
            copy.unlink(missing_ok=True)
