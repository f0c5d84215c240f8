"""The whole lines of a file that grows, and that may be replaced by a shorter one while it is read."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue


class Tail:
    """Reads on where it stopped. A file that was replaced is read from its beginning: what it repeats comes again."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._inode = 0
        self._read = 0

    def lines(self) -> Iterator[Mapping[str, JsonValue]]:
        """The JSON objects that were added since; what is not one is left out."""
        try:
            stream = self._file.open("rb")
        except FileNotFoundError:
            return
        with stream:
            if (inode := self._file.stat().st_ino) != self._inode:
                self._inode, self._read = inode, 0
            stream.seek(self._read)
            for line in stream:
                if not line.endswith(b"\n"):
                    return  # is still being written
                self._read += len(line)
                try:
                    value = json.loads(line)
                except ValueError:
                    continue
                if isinstance(value, dict):
                    yield value
