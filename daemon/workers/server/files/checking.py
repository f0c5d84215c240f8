"""``python -m daemon.workers.server.files.checking FILE``: reads a file to its end, and prints what was found in it.

A process of its own, so that no file can keep the server's interpreter from answering. It is given ``[data]`` and the
tasks as JSON on its standard input, and ends with the server.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from daemon.process_exit import leave
from daemon.settings.sections import Tables
from daemon.workers.reading import limits_of
from daemon.workers.server.files.findings import Findings
from engine.data.readers import loaders
from engine.data.readers.items import Item, Refused

_PR_SET_PDEATHSIG = 1
_NICENESS = 10


def found_in(items: Iterable[Item]) -> Findings:
    """Everything that a reader yields, counted."""
    findings = Findings()
    for item in items:
        if isinstance(item, Refused):
            findings.refuse(item.line, item.reason)
        else:
            findings.samples[item.sample.kind] = findings.samples.get(item.sample.kind, 0) + 1
    return findings


def main(file: Path) -> None:
    """Check one file."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.nice(_NICENESS)
    settings = Tables.model_validate_json(sys.stdin.buffer.read())
    with file.open("rb") as stream:
        findings = found_in(loaders.read(file, stream, limits_of(settings.data, settings.all_tasks)))
    print(findings.model_dump_json(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    leave()
