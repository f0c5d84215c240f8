"""What `control.client.Thord` asks about data: what came in, what was refused, what is set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import answers, data_answers
from control.http import Endpoint, query

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FILES_AT_ONCE = 2000
"""Named in one request, whose size is limited."""


class DataRequests:
    """Requests over the control socket."""

    def __init__(self, control: Endpoint) -> None:
        self._control = control

    def data(self) -> answers.Counts:
        """How many conversations are in each state."""
        return self._control.get("/v1/data", answers.Counts)

    def sources(self) -> data_answers.Sources:
        """How many samples are of each format, and of each file: of the files with most of them."""
        return self._control.get("/v1/data/sources", data_answers.Sources)

    def set_aside(self) -> list[data_answers.SetAside]:
        """What no cycle takes any more, by file and reason."""
        return self._control.get("/v1/data/set-aside", list[data_answers.SetAside])

    def retry_set_aside(self, source: str | None = None) -> data_answers.Retaken:
        """Take up again what was set aside of a file, given by path or name, or of all files."""
        return self._control.post("/v1/data/retry", data_answers.Retaken, {"source": source}, timeout=None)

    def forget(
        self, ids: Sequence[str] = (), source: str | None = None, owner: str | None = None, *, retrain: bool = False
    ) -> data_answers.Forgotten:
        """Forget samples for good: by their IDs, those of a file, those of an owner; returns when nothing is left.

        With ``retrain`` the last version that did not learn them serves again, and what is left is learned once more.
        """
        body: dict[str, answers.Json] = {"ids": list(ids), "source": source, "owner": owner, "retrain": retrain}
        return self._control.post("/v1/data/forget", data_answers.Forgotten, body, timeout=None)

    def scan(self, files: Sequence[Path] = ()) -> data_answers.Scanned:
        """Scan the inbox now. With ``files``, which must be in it, the answer is what became of those."""
        named = [file for file in files if _is_text(file)]
        found: data_answers.Scanned = {
            "added": 0,
            "duplicates": 0,
            "held": 0,
            "quarantined": 0,
            "read_as": {},
            "files": [],
        }
        for start in range(0, max(len(named), 1), _FILES_AT_ONCE):
            part = named[start : start + _FILES_AT_ONCE]
            body: dict[str, answers.Json] = {"files": [str(file) for file in part]}
            answer = self._control.post("/v1/scan", data_answers.Scanned, body, timeout=None)
            for name in ("added", "duplicates", "quarantined"):
                found[name] += answer[name]
            found["held"] = found.get("held", 0) + answer.get("held", 0)
            for shape, count in answer.get("read_as", {}).items():
                found["read_as"][shape] = found["read_as"].get(shape, 0) + count
            for file, read in zip(part, answer.get("files", []), strict=False):
                found["files"].append(read and {"file": str(file), **read})
        return found

    def quarantine(self, limit: int | None = None) -> list[data_answers.Refusal]:
        """What was refused and why, newest first."""
        return self._control.get(query("/v1/quarantine", limit=limit), list[data_answers.Refusal])

    def retry_quarantine(self) -> data_answers.Scanned:
        """Read again what was refused."""
        return self._control.post("/v1/quarantine/retry", data_answers.Scanned, timeout=None)


def _is_text(file: Path) -> bool:
    """Whether JSON can carry the name; one of other bytes is read all the same, and left out of the counts."""
    try:
        str(file).encode()
    except UnicodeEncodeError:
        return False
    return True
