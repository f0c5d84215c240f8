"""Text of old Macs, whose lines end with CR alone, as text whose lines end with LF."""

import io
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def ends_with_cr(raw: bytes) -> bool:
    """Whether the lines of a file that begins like this end with CR."""
    return b"\r" in raw.rstrip() and b"\n" not in raw


class _Translated(io.RawIOBase):
    """The stream with LF for CR; every other byte stays where it is."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        chunk = self._stream.read(len(view)).replace(b"\r", b"\n")
        view[: len(chunk)] = chunk
        return len(chunk)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)


def with_lf(stream: BinaryIO) -> BinaryIO:
    """The same text with LF at the ends of its lines."""
    stream.seek(0)
    return io.BufferedReader(_Translated(stream))
