"""Which file is being read at this moment, written where the death of this process does not reach.

The note is one write into a file that is kept open, into the page cache and not to the disk: it costs microseconds a
file, outlives a process that is killed in any way, and no file causes what ends the whole machine.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from daemon.workers.intake.folders import Signature

Purpose = Literal["ledger", "cycle"]
"""``cycle``: a file that somebody named for one cycle, in a watched folder or not."""


class Note(BaseModel):
    """A file that was being read when this was written down.

    Attributes:
        path: as the file system has it, in hexadecimal.
        supervisor: whose child read it; another one died together with this process, perhaps of something else.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    purpose: Purpose
    supervisor: str

    @property
    def file(self) -> Path:
        """The path of the file that was being read."""
        return Path(os.fsdecode(bytes.fromhex(self.path)))

    @property
    def signature(self) -> Signature:
        """How the file looked when reading began."""
        return Signature(self.device, self.inode, self.size, self.mtime_ns)


@dataclass
class NowReading:
    """The note, at ``file``. A disk that takes no note keeps nobody from reading."""

    file: Path
    supervisor: str
    _descriptor: int | None = field(default=None, init=False)
    _longest: int = field(default=0, init=False)

    def left(self) -> Note | None:
        """What was being read when the last intake died; none where it ended in good order."""
        try:
            return Note.model_validate_json(self.file.read_bytes())
        except (OSError, ValidationError):
            return None

    @contextlib.contextmanager
    def reading(self, path: Path, signature: Signature, purpose: Purpose) -> Iterator[None]:
        """Write the note while the block runs, and clear it however the block ends, unless the process dies."""
        note = Note(
            path=os.fsencode(path).hex(),
            device=signature.device,
            inode=signature.inode,
            size=signature.size,
            mtime_ns=signature.mtime_ns,
            purpose=purpose,
            supervisor=self.supervisor,
        )
        self._write(note.model_dump_json().encode())
        try:
            yield
        finally:
            self.clear()

    def clear(self) -> None:
        """Note that nothing is being read."""
        self._write(b"")

    def _write(self, content: bytes) -> None:
        """One write, with blanks over what stood there: to truncate a file waits for whatever the disk is syncing."""
        with contextlib.suppress(OSError):
            if self._descriptor is None:
                self._descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
                self._longest = os.fstat(self._descriptor).st_size
            self._longest = max(self._longest, len(content))
            os.pwrite(self._descriptor, content.ljust(self._longest), 0)
