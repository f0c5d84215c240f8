"""Streams of what is being unpacked: decompressors, and a stream that readers can go back in."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar

from engine.data.readers.head import BYTES as HEAD_BYTES
from engine.data.readers.packed.bounds import KEPT_BYTES, MEMORY_BYTES, BoundError, Budget, UnpackError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK = 1 << 16
_T = TypeVar("_T")


class Decompressor(Protocol):
    """What unpacks one compressed stream, as the objects of `bz2` and `lzma` do."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What came after its end."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether more packed bytes are needed before more can be unpacked."""
        ...

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """More unpacked bytes, about ``max_length`` at most."""
        ...


def decoded(action: Callable[[], _T]) -> _T:
    """What ``action`` returns, which unpacks bytes of strangers with code of others.

    Raises:
        UnpackError: the bytes are damaged, whatever was raised for it.
        OSError: the disk failed; such an error has a number.
    """
    try:
        return action()
    except UnpackError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise UnpackError(f"damaged: {error}") from None
    except Exception as error:
        raise UnpackError(f"damaged: {str(error) or type(error).__name__}") from None


class Inflated:
    """The unpacked bytes of a compressed file: of all its streams, if several follow each other."""

    def __init__(self, source: BinaryIO, new: Callable[[], Decompressor], chunk: int = _CHUNK) -> None:
        """``chunk`` packed bytes are unpacked at once."""
        self._source = source
        self._new = new
        self._chunk = chunk
        self._decoder = new()
        self._ready = memoryview(b"")

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end.

        Raises:
            UnpackError: the file is damaged or cut off.
        """
        while not self._ready:
            if not self._fill():
                return b""
        taken, self._ready = bytes(self._ready[:size]), self._ready[size:]
        return taken

    def _fill(self) -> bool:
        """Unpack some more; whether there was anything left."""
        is_over = False
        if self._decoder.eof:
            data = self._decoder.unused_data.lstrip(b"\0")
            while not data and (chunk := self._source.read(self._chunk)):
                data = chunk.lstrip(b"\0")  # padding
            if not data:
                return False
            self._decoder = self._new()
        elif self._decoder.needs_input:
            data = self._source.read(self._chunk)
            is_over = not data
        else:
            data = b""
        out = decoded(lambda: self._decoder.decompress(data, _CHUNK))
        if is_over and not out and not self._decoder.eof:
            raise UnpackError("cut off: the packed file ends too early")
        self._ready = memoryview(out)
        return True


class MemberStream(io.RawIOBase):
    """A file that is unpacked while it is read, as a seekable stream.

    One can go back as long as no more than `KEPT_BYTES` have been read, and forward always. Damage near the beginning
    first looks like the end, so that a look at the beginning succeeds; whoever reads there again meets it.
    """

    def __init__(self, read: Callable[[int], bytes], budget: Budget) -> None:
        """``read`` returns at most so many bytes more, and none at the end."""
        super().__init__()
        self._read = read
        self._budget = budget
        self._kept = bytearray()
        self._at = self._came = 0
        self._damage: UnpackError | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is, within its bounds."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the beginning of ``buffer``; how many bytes that were, 0 at the end.

        Raises:
            UnpackError: the file is damaged, breaks a bound, or cannot be gone back in so far.
        """
        view = memoryview(buffer).cast("B")
        if self._at < self._came:
            if len(self._kept) < self._came:
                raise UnpackError(f"more than {KEPT_BYTES >> 20} MB that must be read twice: unpack it first")
            chunk = bytes(self._kept[self._at : self._at + len(view)])
        else:
            chunk = self._more(len(view))
        view[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; what is passed over is unpacked. Where it is afterwards."""
        if whence == io.SEEK_END:
            while self._more(_CHUNK):
                pass
        target = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._came}[whence]
        if target < 0:
            raise UnpackError("damaged: a place before its beginning")
        while self._came < target and self._more(min(_CHUNK, target - self._came)):
            pass
        self._at = min(target, self._came)
        return self._at

    def _more(self, size: int) -> bytes:
        """What comes next."""
        if self._damage is not None:
            raise self._damage
        try:
            chunk = self._read(size)
        except BoundError:
            raise
        except UnpackError as damage:
            self._damage = damage
            if 0 < self._came < HEAD_BYTES:
                return b""
            raise
        self._budget.spend(len(chunk))
        is_kept = len(self._kept) == self._came
        self._came += len(chunk)
        if is_kept and self._came <= KEPT_BYTES:
            self._kept += chunk
        else:
            self._kept = bytearray()
        return chunk


def in_memory(stream: BinaryIO) -> BinaryIO:
    """All of a stream that is unpacked while it is read, for whoever reads it here and there.

    Raises:
        UnpackError: it is too large.
    """
    stream.seek(0)
    raw = stream.read(MEMORY_BYTES + 1)
    if len(raw) > MEMORY_BYTES:
        raise UnpackError(f"packed, and larger than {MEMORY_BYTES >> 20} MB: unpack it first")
    return io.BytesIO(raw)
