"""iMessage's talks as pages of HTML, as imessage-exporter writes them.

    <div class="message"><div class="received"><p><span class="timestamp">Oct 17, 2021 10:31:49 PM</span>
    <span class="sender">Ada</span></p> ... <span class="bubble">is the ford passable</span></div></div>

Source: the HTML export of imessage-exporter. Replies stand in a page twice: below what they answer (``replies``), which
is left out, and in their place.
"""

import itertools
import re
from html.parser import HTMLParser
from typing import BinaryIO

from engine.data.readers.head import Head
from engine.data.readers.messengers.imessage import time_of
from engine.data.readers.messengers.said import Said
from engine.data.readers.messengers.talks import format_of
from engine.data.readers.messengers.text_lines import text_lines
from engine.data.records.limits import FormatError, Limits

_MESSAGE = re.compile(r'<div class="message">\s*<div class="(?:sent|received)\b')
_SPOKEN = ("timestamp", "sender", "bubble")
_LEFT_OUT = ("replies", "reactions", "tapbacks", "announcement", "edited")
_MEDIA = ("img", "video", "audio")
_LINES = 10_000
"""Fed at once."""
_LONGEST = 256 << 10
"""Of what is not read yet because no tag ends in it."""
_DEEPEST = 500
_EMPTY = frozenset("area base br col embed hr img input link meta source track wbr".split())


def _fits(head: Head) -> bool:
    return 'class="timestamp"' in head.text and _MESSAGE.search(head.text) is not None


class _Page(HTMLParser):
    """The messages of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[Said] = []
        self._open: list[str] = []
        """Classes of the elements under way."""
        self._words: dict[str, list[str]] = {}
        self._has_media = False
        self._line = 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = (dict(attrs).get("class") or "").split()
        name = names[0] if names else ""
        if name == "message" and not self._is_left_out:
            self.finish()
            self._line = self.getpos()[0]
        elif name == "bubble" and not self._is_left_out and "bubble" in self._words:
            self._words["bubble"].append("\n")
        if tag == "br":
            self.handle_data("\n")
        if tag in _MEDIA or "attachment" in names:
            self._has_media = self._has_media or not self._is_left_out
        if tag not in _EMPTY:
            self._open.append(name)
        if len(self._open) > _DEEPEST:
            raise FormatError(f"a page with elements nested deeper than {_DEEPEST}")

    def handle_endtag(self, tag: str) -> None:
        if tag not in _EMPTY and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        kind = next((name for name in reversed(self._open) if name in _SPOKEN), "")
        if kind and not self._is_left_out:
            self._words.setdefault(kind, []).append(data)

    @property
    def _is_left_out(self) -> bool:
        return any(name in _LEFT_OUT for name in self._open)

    def finish(self) -> None:
        """End the message under way."""
        stamp, name, text = ("".join(self._words.get(kind, ())).strip() for kind in _SPOKEN)
        if name:
            self.said.append(Said((name,), text, time_of(stamp), line=self._line, has_media=self._has_media))
        self._words, self._has_media = {}, False


def _said_in(stream: BinaryIO, limits: Limits) -> list[Said]:
    """Every message. The page is never closed, which would take long on a hostile one.

    Raises:
        FormatError: a tag never ends, or elements are nested too deep.
    """
    page = _Page()
    lines = (f"{line}\n" for _, line in text_lines(stream, limits))
    while piece := "".join(itertools.islice(lines, _LINES)):
        try:
            page.feed(piece)
        except AssertionError as error:  # of `html.parser`, for a declaration that it does not know
            raise FormatError(f"a page that cannot be read further: {error}") from None
        if len(page.rawdata) > _LONGEST:
            raise FormatError(f"a page with a tag of more than {_LONGEST >> 10} KB")
    page.finish()
    return page.said


FORMAT = format_of("iMessage page", "a talk of iMessage as a page", _fits, _said_in)
