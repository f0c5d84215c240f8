"""Tar archives, read from front to back.

The walk from header to header is thord's own, since `tarfile` stops at a damaged header without a word, holds every
header in memory, and reads extended headers of any size. A header itself is read by `tarfile.TarInfo`.
"""

import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers.packed.bounds import Budget, UnpackError
from engine.data.readers.packed.members import Member, buffered, is_ignored, leads_out, refused, shown
from engine.data.readers.packed.streams import MemberStream

_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 16
_EXTENDED_BYTES = 1 << 16
"""An extended header holds a name, a size and times: real ones have a few hundred bytes."""
_EXTENDED = (*(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE), b"X")


def is_header(block: bytes) -> bool:
    """Whether a file that begins so is a tar archive: its first header has the right sum."""
    try:
        tarfile.TarInfo.frombuf(block[:_BLOCK], "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return False
    return True


class _Body:
    """The bytes of one member."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size
        self.is_cut = False

    def read(self, size: int) -> bytes:
        """At most so many bytes.

        Raises:
            UnpackError: the archive ends inside the member.
        """
        wanted = min(size, self._left)
        chunk = self._stream.read(wanted)
        self.is_cut = bool(wanted) and not chunk
        if self.is_cut:
            raise UnpackError("cut off: the archive ends inside it")
        self._left -= len(chunk)
        return chunk

    def skip(self) -> None:
        """Pass over the rest of it."""
        while self._left:
            self.read(_CHUNK)


def members_of(stream: BinaryIO, budget: Budget) -> Iterator[Member]:
    """Its files, in their order; archives that follow each other are one.

    Raises:
        UnpackError: a header is damaged: where the next member begins is not known.
    """
    name, size, is_sparse = "", -1, False
    stream.seek(0)
    while block := stream.read(_BLOCK):
        if not any(block):
            continue
        info = _header(block, stream.tell() - len(block))
        if info.type in _EXTENDED:
            extended = _extended(stream, info.size)
            if info.type == tarfile.GNUTYPE_LONGNAME:
                name = extended.rstrip(b"\0").decode("utf-8", "surrogateescape")
            elif info.type in (tarfile.XHDTYPE, b"X"):
                name, size, is_sparse = _facts(extended, name)
            continue
        budget.count_member()
        info.name, info.size = name or info.name, size if size >= 0 else info.size
        if info.type == tarfile.GNUTYPE_SPARSE and block[482]:
            while (more := stream.read(_BLOCK)) and len(more) == _BLOCK and more[504]:
                pass
        has_body = info.isreg() or info.type not in tarfile.SUPPORTED_TYPES
        body = _Body(stream, info.size if has_body else 0)
        if problem := _problem(info, is_sparse=is_sparse):
            yield refused(info.name, problem)
        elif not info.isdir() and not is_ignored(info.name):
            yield Member(shown(info.name), buffered(MemberStream(body.read, budget)))
        name, size, is_sparse = "", -1, False
        if body.is_cut:  # which is said of the member
            return
        body.skip()
        stream.read(-info.size % _BLOCK if has_body else 0)


def _header(block: bytes, at: int) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        raise UnpackError(f"damaged: no header of a member at byte {at}; what follows is not read") from None
    if info.size < 0:
        raise UnpackError(f"damaged: a member of negative size at byte {at}; what follows is not read")
    return info


def _extended(stream: BinaryIO, size: int) -> bytes:
    if size > _EXTENDED_BYTES:
        raise UnpackError(f"an extended header of {size} bytes: unpack it first")
    raw = stream.read(size + -size % _BLOCK)
    if len(raw) < size:
        raise UnpackError("cut off: the archive ends inside an extended header")
    return raw[:size]


def _facts(extended: bytes, name: str) -> tuple[str, int, bool]:
    """Name and size of the next member, and whether it is sparse, from records ``length key=value``.

    The size is -1 where it is not said.

    Raises:
        UnpackError: it is damaged.
    """
    size, at, is_sparse = -1, 0, False
    try:
        while at < len(extended) and extended[at]:
            space = extended.index(b" ", at, at + 20)
            length = max(int(extended[at:space]), space + 1 - at)  # never back
            key, _, value = extended[space + 1 : at + length - 1].partition(b"=")
            if key == b"path":
                name = value.decode("utf-8", "surrogateescape")
            elif key == b"size":
                size = int(value)
            is_sparse = is_sparse or key.startswith(b"GNU.sparse.")
            at += length
    except ValueError:
        raise UnpackError("damaged: an extended header that cannot be read; what follows is not read") from None
    return name, max(size, -1), is_sparse


def _problem(info: tarfile.TarInfo, *, is_sparse: bool) -> str:
    if leads_out(info.name):
        return "a name that leads out of the archive"
    if info.issym() or info.islnk():
        return "a link, not a file"
    if info.ischr() or info.isblk() or info.isfifo():
        return "a device or pipe, not a file"
    if is_sparse or info.type == tarfile.GNUTYPE_SPARSE:
        return "a sparse file: unpack it first"
    return ""
