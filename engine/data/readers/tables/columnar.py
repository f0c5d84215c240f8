"""Parquet files, and files and streams of Arrow (Feather), read batch by batch with `pyarrow` (extra ``tables``).

Sources: the data sets of the Hugging Face hub (Parquet), `datasets.save_to_disk` (Arrow streams), pandas (Feather).
"""

import io
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, BinaryIO

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Refused, Resume
from engine.data.readers.tables.columns import record_of
from engine.data.readers.tables.records_of import TableRow, table_items, unread
from engine.data.records.limits import FormatError, Limits

if TYPE_CHECKING:
    import pyarrow

_BATCH_ROWS = 64
"""Rows in memory at once, each as large as a record may be."""
_BUFFER = 1 << 20
_MOST_AT_ONCE = 256 << 20
"""Bytes of one batch of Arrow, which is read whole."""
_CONTINUATION = b"\xff\xff\xff\xff"
"""Before each message of an Arrow stream; its length follows."""
_MOST_SCHEMA = 1 << 20


class _TableSource:
    """The stream as pyarrow may read it: never much at once, and not closed by it."""

    closed = False

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes."""
        if size > _MOST_AT_ONCE:
            raise FormatError(f"a batch of {size} bytes: write the table in batches of fewer rows")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move within the file."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._stream.tell()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is not."""
        return False

    def close(self) -> None:
        """Nothing: the stream is another's."""


def _parquet_batches(source: _TableSource) -> Iterator[list[Mapping[str, object]]]:
    from pyarrow import parquet

    file = parquet.ParquetFile(source, buffer_size=_BUFFER, pre_buffer=False)
    for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
        yield _rows_of(batch)


def _arrow_file_batches(source: _TableSource) -> Iterator[list[Mapping[str, object]]]:
    from pyarrow import ipc

    file = ipc.open_file(source)
    for number in range(file.num_record_batches):
        batch = file.get_batch(number)
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            yield _rows_of(batch.slice(start, _BATCH_ROWS))


def _arrow_stream_batches(source: _TableSource) -> Iterator[list[Mapping[str, object]]]:
    from pyarrow import ipc

    for batch in ipc.open_stream(source):
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            yield _rows_of(batch.slice(start, _BATCH_ROWS))


def _rows_of(batch: "pyarrow.RecordBatch") -> list[Mapping[str, object]]:
    """The rows; times to the nanosecond are cut to microseconds, for which Python has a type."""
    import pyarrow

    batch.validate(full=True)  # what strangers wrote may point outside of its buffers
    fields = [(field.name, _without_nanoseconds(field.type)) for field in batch.schema]
    if any(kind != field.type for (_, kind), field in zip(fields, batch.schema, strict=True)):
        batch = batch.cast(pyarrow.schema(fields), safe=False)
    rows: list[Mapping[str, object]] = batch.to_pylist()
    return rows


def _without_nanoseconds(kind: "pyarrow.DataType") -> "pyarrow.DataType":
    import pyarrow

    if pyarrow.types.is_timestamp(kind) and kind.unit == "ns":
        return pyarrow.timestamp("us", kind.tz)
    if pyarrow.types.is_duration(kind) and kind.unit == "ns":
        return pyarrow.duration("us")
    if pyarrow.types.is_time64(kind) and kind.unit == "ns":
        return pyarrow.time64("us")
    return kind


Batches = Callable[[_TableSource], Iterator[list[Mapping[str, object]]]]


def _format(name: str, what: str, fits: Callable[[Head], bool], batches: Batches) -> Format:
    """A format of tables whose rows come in ``batches``."""

    def read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
        del resume
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        yield from _read(stream, size, limits, name, what, batches)

    return Format(name, fits, read, may_grow=False, seeks=True)


def _read(stream: BinaryIO, size: int, limits: Limits, name: str, what: str, batches: Batches) -> Iterator[Item]:
    """Every row. Where the file is damaged, what comes after is refused."""
    start = Resume(name, 0, 1)
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        yield Refused(
            f"not text but {name}, which needs an extra: pip install 'thord[tables]', or convert it to JSON Lines",
            *(0, 0, size, start),
        )
        return
    problems: list[str] = []
    yield from table_items(_rows(batches(_TableSource(stream)), limits, problems), what, name, size, limits)
    for problem in problems:
        yield Refused(f"{what} cannot be read further: {problem}", 0, 0, size, start)


def _rows(batches: Iterator[list[Mapping[str, object]]], limits: Limits, problems: list[str]) -> Iterator[TableRow]:
    """The rows up to where the table is damaged, which is added to ``problems``."""
    number = 0
    while True:
        try:
            batch = next(batches, None)
        except OSError as error:  # pyarrow also raises it for damage, without a number
            if error.errno is not None:
                raise
            problems.append(f"damaged: {error}")
            return
        except Exception as error:  # code of others, on bytes of strangers
            problems.append(f"damaged: {str(error) or type(error).__name__}")
            return
        if batch is None:
            return
        for row in batch:
            number += 1
            try:
                yield TableRow(number, record_of(row, limits))
            except FormatError as error:
                yield unread(number, row, error)


def _is_stream(head: Head) -> bool:
    length = int.from_bytes(head.raw[4:8], "little", signed=True)
    return head.raw.startswith(_CONTINUATION) and 8 <= length <= _MOST_SCHEMA and length % 8 == 0


PARQUET = _format("Parquet", "a Parquet table", lambda head: head.raw.startswith(b"PAR1"), _parquet_batches)
ARROW = _format("Arrow", "an Arrow table", lambda head: head.raw.startswith(b"ARROW1\0\0"), _arrow_file_batches)
ARROW_STREAM = _format("Arrow stream", "an Arrow table", _is_stream, _arrow_stream_batches)
