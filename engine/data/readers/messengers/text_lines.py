"""The lines of a text file, for messengers that write one."""

from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers.json_values import too_large
from engine.data.records.limits import FormatError, Limits
from engine.data.records.text import UTF8_MARK, decode


def text_lines(stream: BinaryIO, limits: Limits) -> Iterator[tuple[int, str]]:
    """Each line with its number, without its end.

    Raises:
        FormatError: a line is longer than a record may be, or not UTF-8.
    """
    stream.seek(0)
    number, offset = 0, 0
    while raw := stream.readline(limits.record_bytes + 1):
        if len(raw) > limits.record_bytes:
            raise FormatError(too_large(len(raw), limits))
        number += 1
        yield number, decode(raw.removeprefix(UTF8_MARK) if offset == 0 else raw, offset).rstrip("\r\n")
        offset += len(raw)
