"""Zip archives. Their directory is at the end, so the stream must be one that can be sought in."""

import io
import stat
import zipfile
from collections.abc import Iterator
from typing import IO, BinaryIO

from engine.data.readers.packed.bounds import DIRECTORY_BYTES, Budget, UnpackError
from engine.data.readers.packed.members import Member, buffered, is_ignored, leads_out, refused, shown
from engine.data.readers.packed.streams import MemberStream, decoded

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The others unpack any number of bytes at once."""

_MEMBER_BYTES = 64 << 20
"""So much of a member is read that others refer to."""

_DOCUMENTS = (
    ("[Content_Types].xml", "a document of Office (docx, xlsx, pptx): save it as plain text, or a table as CSV"),
    ("mimetype", "an EPUB or OpenDocument file: save it as plain text"),
    ("META-INF/MANIFEST.MF", "a program (Java archive)"),
)
"""A member that only such a file has, and what it is."""


class _ZipSource:
    """The packed file as `zipfile` may read it: never much at once, since it reads a directory of any size whole."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes."""
        if size > DIRECTORY_BYTES:
            raise UnpackError(f"its directory is larger than {DIRECTORY_BYTES >> 20} MB: unpack it")
        return self._stream.read(DIRECTORY_BYTES if size < 0 else size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move within the file."""
        if whence == io.SEEK_SET and offset < 0:
            raise UnpackError("damaged: a place before its beginning")
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._stream.tell()

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Nothing: the stream is another's."""


class _Unpacked:
    """The bytes of one member, opened when it is first read."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self._archive = archive
        self._info = info
        self._file: IO[bytes] | None = None

    def read(self, size: int) -> bytes:
        """At most so many bytes.

        Raises:
            UnpackError: the member is damaged.
        """
        return decoded(lambda: self._read(size))

    def _read(self, size: int) -> bytes:
        if self._file is None:
            self._file = self._archive.open(self._info)
        return self._file.read(size)


def members_of(stream: BinaryIO, budget: Budget) -> Iterator[Member]:
    """Its files, in the order of the directory.

    Raises:
        UnpackError: the directory is damaged.
    """
    archive = decoded(lambda: zipfile.ZipFile(_ZipSource(stream)))
    infos = archive.infolist()
    if document := _document(infos):
        raise UnpackError(document)
    for info in infos:
        budget.count_member()
        name = info.filename
        if name.endswith("/") or is_ignored(name):
            continue
        if problem := _problem(info):
            yield refused(name, problem)
        else:
            unpacked = _Unpacked(archive, info)
            yield Member(shown(name), buffered(MemberStream(unpacked.read, budget)))


def member(stream: BinaryIO, name: str) -> bytes:
    """The beginning of the first file of this name in any folder of an archive; empty where there is none."""
    try:
        archive = decoded(lambda: zipfile.ZipFile(_ZipSource(stream)))
        info = next((each for each in archive.infolist() if f"/{each.filename}".endswith(f"/{name}")), None)
        if info is None or _problem(info):
            return b""
        unpacked = _Unpacked(archive, info)
        return unpacked.read(_MEMBER_BYTES)
    except UnpackError:
        return b""


def _document(infos: list[zipfile.ZipInfo]) -> str:
    """What kind of document this is, which is a zip only inside; empty where it is an archive."""
    names = {info.filename for info in infos}
    for mark, document in _DOCUMENTS:
        if mark in names:
            return document
    if any(name.endswith("/data.pkl") for name in names):
        return "weights of PyTorch"
    if names and all(name.endswith(".npy") for name in names):
        return "arrays of NumPy"
    return ""


def _problem(info: zipfile.ZipInfo) -> str:
    if leads_out(info.filename):
        return "a name that leads out of the archive"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link, not a file"
    if info.flag_bits & 0x41:
        return "encrypted: unpack it with its password first"
    if info.compress_type not in _METHODS:
        return f"packed by method {info.compress_type} instead of deflate (8): unpack it first"
    return ""
