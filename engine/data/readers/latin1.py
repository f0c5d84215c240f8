"""Text in Latin-1, or Windows-1252, where it can be nothing else.

The code pages of Central Europe and Turkey, of DOS and of the Mac give other letters to the same bytes. So only files
are read whose every byte beyond ASCII is the same in all of Windows-1250, 1252 and 1254, stands where such a letter or
sign stands in a word, and is part of no UTF-8. A file that has such bytes in a few lines only is UTF-8 with rows from
elsewhere: these are refused one by one.
"""

import io
import re
from typing import BinaryIO

from engine.data.records.limits import FormatError

_MOST_BYTES = 64 << 20
_ENCODING = "cp1252"
_SMALL = "äöüßéáíóúýâçëîô".encode(_ENCODING)
_CAPITAL = "ÄÖÜÉÁÍÓÚÝÂÇËÎÔ".encode(_ENCODING)
_SIGNS = "\u20ac\u201e\u201c\u201d\u2018\u2013\u2014\u2026\u00ab\u00bb\u00b0\u00a7\u00a9\u00ae\u00a0\u2022".encode(
    _ENCODING
)
_APOSTROPHE = "\u2019".encode(_ENCODING)
_S, _C, _SIGN = (re.escape(each) for each in (_SMALL, _CAPITAL, _SIGNS))
_IN_WORD = re.compile(
    rb"(?<=[A-Za-z%b])[%b]|[%b](?=[A-Za-z%b])" % (_S + _C, _S, _S, _S)  # a small letter beside another letter
    + rb"|(?<![a-z%b])[%b](?=[A-Za-z%b])" % (_S, _C, _S + _C)  # a capital at the beginning of a word
    + rb"|(?<=[A-Z%b])[%b]" % (_C, _C)  # or inside of one in capitals
    + rb"|(?<![A-Za-z])[%b]|[%b](?![A-Za-z])" % (_SIGN, _SIGN)  # a sign not inside of a word
    + rb"|(?<=[A-Za-z])%b" % _APOSTROPHE
)
_HIGH = re.compile(rb"[\x80-\xff]")
_RUN = re.compile(rb"[\x80-\xff]{3,}")
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def is_latin1(raw: bytes) -> bool:
    """Whether text that begins like this is certainly Latin-1."""
    if raw.isascii() or _UTF8.search(raw) or _RUN.search(raw):
        return False
    lines = [line for line in raw.splitlines() if line.strip()]
    if 2 * sum(not line.isascii() for line in lines) < len(lines):
        return False
    return len(_IN_WORD.findall(raw)) == len(_HIGH.findall(raw))


def as_utf8(stream: BinaryIO) -> BinaryIO:
    """The same text as UTF-8.

    Raises:
        FormatError: it is too long to be converted in memory, or goes on as something else.
    """
    stream.seek(0)
    raw = stream.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise FormatError(f"Latin-1 of more than {_MOST_BYTES >> 20} MB: save the file as UTF-8")
    if not is_latin1(raw):
        raise FormatError("not valid UTF-8, and not certainly Latin-1; save the file as UTF-8")
    return io.BytesIO(raw.decode(_ENCODING).encode())
