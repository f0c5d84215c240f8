"""Text as it is stored: one normal form, whatever editor or system wrote it."""

import re
import unicodedata

from engine.data.records.limits import FormatError

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_LINE_ENDS = re.compile("\r\n?")
_BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\ufeff"
_MARKS = 30
_JOINER = "\u034f"
_SYMBOLS = re.compile(rf"[^\w\s\x00-\x7f]{{{_MARKS + 1},}}")
"""Runs that may be combining marks: the only characters beyond ASCII that are neither word nor blank, and symbols."""

UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

PACKED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"%PDF-": "PDF",
    b"PAR1": "Parquet",
    b"\x89PNG": "PNG",
    b"\x7fELF": "a program",
}
"""First bytes of files that people drop by mistake, to name them in the refusal."""


def clean(text: str) -> str:
    """The normal form of what was said. Applying it twice changes nothing."""
    text = _CONTROLS.sub("", text)
    text = _LINE_ENDS.sub("\n", text)
    text = _SURROGATES.sub("\ufffd", text)
    text = _SYMBOLS.sub(_part_marks, text)
    text = unicodedata.normalize("NFC", text)
    return _SYMBOLS.sub(_part_marks, text).strip(_BLANKS)


def _part_marks(run: re.Match[str]) -> str:
    """Never more than 30 combining marks in a row, as in Unicode's stream-safe format (UAX #15, section 13).

    Sorting them takes time that grows with the square of their number, so a hostile file could hold a process for days.
    """
    parted: list[str] = []
    marks = 0
    for character in run.group():
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > _MARKS:
            parted.append(_JOINER)
            marks = 1
        parted.append(character)
    return "".join(parted)


def decode(raw: bytes, offset: int = 0) -> str:
    """Bytes as UTF-8; ``offset`` is where in the file they start.

    Raises:
        FormatError: they are not UTF-8; the message names the first byte that is not.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        at = offset + error.start
        raise FormatError(
            f"not valid UTF-8: byte 0x{raw[error.start]:02x} at offset {at}; save the file as UTF-8"
        ) from None


def check_is_text(head: bytes) -> None:
    """Tell text from a binary file by its beginning.

    Raises:
        FormatError: it is not text; the message says what it seems to be.
    """
    for mark, name in PACKED.items():
        if head.startswith(mark):
            raise FormatError(f"not text but {name}: unpack or convert it first")
    controls = sum(head.count(bytes([code])) for code in range(32) if code not in b"\t\n\r\f\x1b")
    if controls > len(head) * 0.1:
        raise FormatError(f"not text: {controls} of its first {len(head)} bytes are control characters")
