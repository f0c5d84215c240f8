"""Text as it is stored: one normal form, whatever editor or system wrote it."""

import html
import re
import unicodedata
from collections.abc import Sequence

from engine.data.records.limits import FormatError

_CONTROLS = bytes((*range(9), 11, 12, *range(14, 32), 127))
_CHANGED = _CONTROLS + b"\r"
"""What does not stay as it is, of ASCII."""
_WITHOUT_CONTROLS = dict.fromkeys(_CONTROLS)
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\ufeff"
_MARKS = 30
_JOINER = "\u034f"
_SYMBOLS = re.compile(rf"[^\w\s\x00-\x7f]{{{_MARKS + 1},}}")
"""Runs that may be combining marks: the only characters beyond ASCII that are neither word nor blank, and symbols."""

_HUGE = re.compile("&#(?:[xX][0-9A-Fa-f]{8,}|[0-9]{9,});?")
"""References to no character, with so many digits that reading them as a number may fail."""

UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

BINARIES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1f\x8b", "gzip"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ", "xz"),
    (0, b"\x04\x22\x4d\x18", "lz4"),
    (0, b"\x1f\x9d", "compress (.Z)"),
    (0, b"LZIP", "lzip"),
    (0, b"fLaC", "FLAC"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"Rar!", "a rar archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"%PDF-", "PDF"),
    (0, b"ARROW1", "Arrow"),
    (0, b"Obj\x01", "Avro"),
    (0, b"\x89HDF", "HDF5"),
    (0, b"\x93NUMPY", "an array of NumPy"),
    (0, b"GGUF", "a GGUF model: thorctl import gguf FILE reads it"),
    (0, b"\xd0\xcf\x11\xe0", "a document of an older Office"),
    (0, b"\x89PNG", "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"RIFF", "sound or video (RIFF)"),
    (0, b"OggS", "Ogg"),
    (0, b"ID3", "MP3"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ\x90\x00", "a program"),
    *((0, bytes((0x80, protocol)), "a pickle of Python") for protocol in range(2, 6)),
)
"""Bytes at an offset, of files that no reader takes and people drop by mistake, to name them in the refusal."""
_BINARY_MARKS = {
    at: tuple(mark for offset, mark, _ in BINARIES if offset == at) for at in {offset for offset, _, _ in BINARIES}
}
"""The same by their offsets: most files have none of them, and one look for each offset says so."""


def clean(text: str) -> str:
    """The normal form of what was said. Applying it twice changes nothing."""
    if text.isascii():
        kept = text.encode("ascii").translate(None, _CONTROLS)
        if len(kept) < len(text):
            text = kept.decode("ascii")
        return (_with_line_feeds(text) if "\r" in text else text).strip(_BLANKS)
    if _UNFIT.search(text):
        text = _SURROGATES.sub("\ufffd", _with_line_feeds(text.translate(_WITHOUT_CONTROLS)))
    parted = _SYMBOLS.sub(_part_marks, text)
    text = unicodedata.normalize("NFC", parted)
    if text != parted:
        text = _SYMBOLS.sub(_part_marks, text)
    return text.strip(_BLANKS)


def clean_all(texts: Sequence[str]) -> list[str]:
    """Each text in its normal form; most are of ASCII and just lack their blank ends, which is seen of all at once."""
    together = "".join(texts)
    if together.isascii() and len(together.encode("ascii").translate(None, _CHANGED)) == len(together):
        return [text.strip(_BLANKS) for text in texts]
    return list(map(clean, texts))


def unescaped(text: str) -> str:
    """A text of HTML with the characters for which its references stand."""
    return html.unescape(_HUGE.sub("\ufffd", text)) if "&" in text else text


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
    if any(head.startswith(marks, offset) for offset, marks in _BINARY_MARKS.items()):
        name = next(name for offset, mark, name in BINARIES if head.startswith(mark, offset))
        raise FormatError(f"not text but {name}: unpack or convert it first")
    at = head.find(0)
    if at >= 0:
        raise FormatError(f"not text but binary data: byte 0 at offset {at}")
