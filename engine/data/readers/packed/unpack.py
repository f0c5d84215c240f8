"""Recognises packed files by their first bytes, and reads what is in them by the formats of plain files."""

import bz2
import dataclasses
import functools
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from engine.data.readers.items import Found, Inside, Item, Refused, Resume, of_whole
from engine.data.readers.packed import tar_archive, zip_archive
from engine.data.readers.packed.bounds import DEPTH, WINDOW_BYTES, BoundError, Budget, Nesting, UnpackError
from engine.data.readers.packed.members import Member, buffered
from engine.data.readers.packed.streams import Decompressor, Inflated, MemberStream, in_memory

_FROM_START = Resume("packed", 0, 1)
"""A packed file that changed is read anew."""

_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ZSTD_CHUNK = 1 << 10
"""Zstd unpacks all it is given at once: 4 bytes can become 128 KB."""

ReadInside = Callable[[BinaryIO, Nesting], Iterator[Item]]
"""Reads an unpacked file, as `engine.data.readers.read` does."""


def packing_of(raw: bytes) -> str | None:
    """How a file that begins like this is packed; none where it is not, or by nothing known."""
    if raw.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    if raw.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    if _BZIP2.match(raw):
        return "bzip2"
    if raw.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd"
    if raw.startswith(_ZIP):
        return "zip"
    return "tar" if raw.startswith(b"ustar", 257) and tar_archive.is_header(raw) else None


def read(packing: str, stream: BinaryIO, read_inside: ReadInside, nesting: Nesting | None = None) -> Iterator[Item]:
    """Everything in a packed file. What is found or refused has the place of the whole file.

    ``nesting`` is given where the file is itself packed. A bound that is broken ends the outermost file.
    """
    if nesting is not None:
        yield from _items(packing, stream, read_inside, nesting)
        return
    size = stream.seek(0, io.SEEK_END)
    try:
        for item in _items(packing, stream, read_inside, Nesting(Budget(size))):
            yield of_whole(item, size, _FROM_START)
    except BoundError as error:
        yield Refused(f"{packing}: {error}", 0, 0, size, _FROM_START)


def _items(packing: str, stream: BinaryIO, read_inside: ReadInside, nesting: Nesting) -> Iterator[Item]:
    is_archive = packing in ("zip", "tar")
    depth = nesting.depth + (0 if is_archive and nesting.is_bare else 1)
    if depth > DEPTH:
        yield _refusal(packing, f"packed more than {DEPTH} times: unpack it first")
        return
    inner = Nesting(nesting.budget, depth, is_bare=not is_archive)
    try:
        for member in _members(packing, stream, nesting):
            yield from _member_items(member, read_inside, inner)
    except BoundError:
        raise
    except UnpackError as error:
        yield _refusal(packing, str(error))


def _members(packing: str, stream: BinaryIO, nesting: Nesting) -> Iterator[Member]:
    """What is packed in it; a file that is only compressed is called by its packing.

    Raises:
        UnpackError: from here on nothing can be read.
    """
    if packing == "zip":
        yield from zip_archive.members_of(in_memory(stream) if nesting.depth else stream, nesting.budget)
    elif packing == "tar":
        yield from tar_archive.members_of(stream, nesting.budget)
    else:
        stream.seek(0)
        chunk = _ZSTD_CHUNK if packing == "zstd" else 1 << 16
        inflated = Inflated(stream, _decoder(packing), chunk)
        yield Member(packing, buffered(MemberStream(inflated.read, nesting.budget)))


def _member_items(member: Member, read_inside: ReadInside, nesting: Nesting) -> Iterator[Item]:
    if member.problem:
        yield _refusal(member.name, member.problem)
        return
    name = "" if nesting.is_bare else member.name
    try:
        for item in read_inside(member.stream, nesting):
            where = _inside(name, item)
            if isinstance(item, Found):
                yield item._replace(inside=where)
            else:
                yield dataclasses.replace(item, inside=where, reason=f"{member.name}: {item.reason}")
    except BoundError:
        raise
    except UnpackError as error:
        yield _refusal(member.name, f"{error}; what is not read by then is left out")


def _inside(name: str, item: Item) -> Inside:
    """The place of an item in a member of this name, which may be packed itself."""
    if item.inside is None:
        return Inside(name, item.resume.format)
    return Inside("/".join(part for part in (name, item.inside.member) if part), item.inside.format)


def _refusal(name: str, reason: str) -> Refused:
    return Refused(f"{name}: {reason}", 0, 0, 0, _FROM_START)


def _decoder(packing: str) -> Callable[[], Decompressor]:
    """What unpacks such a file.

    Raises:
        UnpackError: a library is missing.
    """
    if packing == "gzip":
        return _Gzip
    if packing == "bzip2":
        return bz2.BZ2Decompressor
    if packing == "xz":
        return functools.partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, WINDOW_BYTES)
    try:
        import zstandard  # noqa: F401
    except ImportError:
        raise UnpackError("zstd needs an extra: pip install 'thord[zstd]', or unpack it first") from None
    return _Zstd


class _Gzip:
    """A gzip stream, as `Decompressor`."""

    def __init__(self) -> None:
        self._object = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._object.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._object.decompress(self._object.unconsumed_tail + data, max_length)


class _Zstd:
    """A zstd stream, as `Decompressor`."""

    def __init__(self) -> None:
        import zstandard

        self._object = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).decompressobj()

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    @property
    def needs_input(self) -> bool:
        return True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        del max_length  # it cannot stop; little is given to it at once
        return self._object.decompress(data) if data else b""
