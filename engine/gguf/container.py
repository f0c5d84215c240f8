"""A GGUF file: its metadata, and its tensors one at a time.

The package ``gguf`` has a reader too, but it maps the file and believes every length in it: a damaged file keeps it
busy for ever, and it needs seconds for a vocabulary. What is quantized is decoded by the package. Format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from engine.foreign_model import ForeignModelError
from engine.gguf.metadata import Metadata, Value

MAGIC: Final = b"GGUF"
_VERSIONS = (2, 3)
_LONGEST_HEADER = 1 << 26
"""Metadata of real models have at most some 20 MiB; beyond this a file is not worth the memory."""
_MOST_DIMENSIONS = 4
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
"""Types of values, as `struct` calls them."""
_LONGEST_ARRAY = 1 << 22
_DECODED_AT_ONCE = 1 << 13
"""Numbers in a row of those that the package takes sixteen of at a time: twice as fast as rows of usual widths."""
_UNQUANTIZED: dict[GGMLQuantizationType, str] = {
    GGMLQuantizationType.F32: "<f4",
    GGMLQuantizationType.F16: "<f2",
    GGMLQuantizationType.F64: "<f8",
}


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """Where a tensor is, and what.

    Attributes:
        shape: outermost dimension first, as in torch (the file says it the other way round).
        kind: how its numbers are written.
        offset: from the beginning of the file.
        size: in bytes.
    """

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    offset: int
    size: int


@dataclass(frozen=True)
class GgufFile:
    """A file whose header was read and found to be whole."""

    path: Path
    metadata: Metadata
    tensors: Mapping[str, TensorRecord]

    def read(self, name: str) -> NDArray[np.float32]:
        """One tensor in float32, decoded.

        Raises:
            ForeignModelError: it is of a type that cannot be decoded.
            OSError: the file cannot be read, or was truncated meanwhile.
        """
        record = self.tensors[name]
        with self.path.open("rb") as stream:
            stream.seek(record.offset)
            data = stream.read(record.size)
        if len(data) < record.size:
            raise OSError(f"{self.path} became shorter while it was read")
        if record.kind in _UNQUANTIZED:
            numbers = np.frombuffer(data, _UNQUANTIZED[record.kind]).reshape(record.shape)
            return numbers.astype(np.float32, copy=not numbers.flags.writeable)
        block, block_bytes = GGML_QUANT_SIZES[record.kind]
        blocks = math.gcd(record.size // block_bytes, max(1, _DECODED_AT_ONCE // block))
        rows = np.frombuffer(data, np.uint8).reshape(-1, blocks * block_bytes)
        try:
            with np.errstate(all="ignore"):  # a damaged scale: what comes of it is for the caller to judge
                decoded: NDArray[np.float32] = dequantize(rows, record.kind)
        except NotImplementedError as error:
            raise ForeignModelError(
                f"{self.path}: {name} is of type {record.kind.name}, which thord does not decode"
            ) from error
        return decoded.reshape(record.shape)


def read(path: Path) -> GgufFile:
    """The header of a file.

    Raises:
        ForeignModelError: it is not a GGUF file, or it is damaged; the message says what to do.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        header = _Header(path, stream.read(_LONGEST_HEADER), size)
    if header.take(len(MAGIC)) != MAGIC:
        raise ForeignModelError(f"{path} is not a GGUF file")
    version = header.number("<I")
    if version not in _VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        raise ForeignModelError(
            f"{path} is a big-endian GGUF file; convert it to little-endian"
            if swapped in _VERSIONS
            else f"{path} is of GGUF version {version}; versions {_VERSIONS[0]} and {_VERSIONS[-1]} are known"
        )
    tensor_count, entry_count = header.number("<Q"), header.number("<Q")
    metadata: dict[str, Value] = {}
    for _ in range(entry_count):
        key = header.text()
        if key in metadata:
            raise ForeignModelError(f"{path} is damaged: it has '{key}' twice")
        metadata[key] = header.value(header.number("<I"))
    described = [header.tensor() for _ in range(tensor_count)]
    known = Metadata(path, metadata)
    alignment = known.integer("general.alignment", 32)
    if alignment < 1:
        raise ForeignModelError(f"{path} is damaged: general.alignment is {alignment}")
    data_begins = math.ceil(header.position / alignment) * alignment
    tensors: dict[str, TensorRecord] = {}
    for name, shape, kind, offset in described:
        if name in tensors:
            raise ForeignModelError(f"{path} is damaged: it has the tensor {name} twice")
        tensors[name] = _placed(path, name, shape, kind, data_begins + offset, size)
    return GgufFile(path, known, tensors)


def _placed(path: Path, name: str, shape: tuple[int, ...], kind: int, begins: int, file_size: int) -> TensorRecord:
    try:
        known = GGMLQuantizationType(kind)
    except ValueError as error:
        raise ForeignModelError(f"{path}: {name} is of type {kind}, which is not known") from error
    block, block_bytes = GGML_QUANT_SIZES[known]
    if shape[-1] % block:
        raise ForeignModelError(
            f"{path} is damaged: rows of {name} have {shape[-1]} numbers, {known.name} is by {block}"
        )
    size = math.prod(shape) // block * block_bytes
    if begins + size > file_size:
        raise ForeignModelError(
            f"{path} is cut off: {name} ends at byte {begins + size}, the file at {file_size}; fetch it again"
        )
    return TensorRecord(name, shape, known, begins, size)


class _Header:
    """The beginning of a file, read from front to back; nothing in it is believed that does not fit into it."""

    def __init__(self, path: Path, data: bytes, file_size: int) -> None:
        self._path = path
        self._data = data
        self._is_whole = len(data) == file_size
        self.position = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        end = self.position + count
        if end > len(self._data):
            raise ForeignModelError(
                f"{self._path} is cut off or damaged: it ends within its header; fetch it again"
                if self._is_whole
                else f"{self._path} is damaged: its header has more than {_LONGEST_HEADER >> 20} MiB"
            )
        found = self._data[self.position : end]
        self.position = end
        return found

    def number(self, form: str) -> int:
        """One unsigned integer, of a form of `struct`."""
        (found,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(found)

    def text(self) -> str:
        """The next string: its length in bytes, then UTF-8."""
        data = self.take(self.number("<Q"))
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise ForeignModelError(f"{self._path} is damaged: a text in its header is not UTF-8") from error

    def value(self, kind: int) -> Value:
        """What a key stands for."""
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self._array(self.number("<I"), self.number("<Q"))
        form = self._form(kind)
        scalar: bool | int | float = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return scalar

    def tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        """Name, shape, number of its type, and where it begins among the data."""
        name = self.text()
        dimensions = self.number("<I")
        if not 0 < dimensions <= _MOST_DIMENSIONS:
            raise ForeignModelError(f"{self._path} is damaged: {name} has {dimensions} dimensions")
        shape = tuple(self.number("<Q") for _ in range(dimensions))
        if 0 in shape:
            raise ForeignModelError(f"{self._path} is damaged: {name} is empty")
        return name, shape[::-1], self.number("<I"), self.number("<Q")

    def _array(self, kind: int, count: int) -> Value:
        if count > _LONGEST_ARRAY:
            raise ForeignModelError(f"{self._path} is damaged: a list in its header has {count} values")
        if kind == _STRING:
            return [self.text() for _ in range(count)]
        form = self._form(kind)
        values = np.frombuffer(self.take(count * struct.calcsize(form)), form)
        return values.astype(np.float64) if form in ("<f", "<d") else values.astype(np.int64)

    def _form(self, kind: int) -> str:
        if kind not in _SCALARS:
            raise ForeignModelError(f"{self._path} is damaged: a value in its header is of type {kind}")
        return _SCALARS[kind]
