"""The words and tags of a page of HTML, in time that grows with its length, whatever is in it.

`html.parser` takes minutes for a page of 50 KB that opens a tag again and again and never ends one, and raises errors
on some. Here, as in a browser, what begins a tag, a comment or a script that never ends takes the rest of the page.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from engine.data.records.text import unescaped

_MARKUP = re.compile(r"<!--|<[!?]|<(/?)([A-Za-z][^\s/<>]{0,40})")
_ATTRIBUTES = re.compile(r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+'|))*+>""")
_ENDS = {"<!--": "-->", "<!": ">", "<?": ">"}
_RAW = {tag: re.compile(rf"</{tag}\b", re.IGNORECASE) for tag in ("script", "style")}
"""Elements in which a tag is only text."""


class Tag(NamedTuple):
    """The beginning or the end of an element; its name is in lower case."""

    name: str
    is_end: bool


def tokens_of(page: str) -> Iterator[Tag | str]:
    """Its tags, and the words between them as they are shown."""
    at = 0
    while markup := _MARKUP.search(page, at):
        if words := page[at : markup.start()]:
            yield unescaped(words)
        name = markup[2]
        if name is None:
            end = page.find(_ENDS[markup[0]], markup.end())
            at = len(page) if end < 0 else end + len(_ENDS[markup[0]])
            continue
        attributes = _ATTRIBUTES.match(page, markup.end())
        yield Tag(name.lower(), bool(markup[1]))
        at = attributes.end() if attributes else len(page)
        if not markup[1] and (raw := _RAW.get(name.lower())):
            end_of_raw = raw.search(page, at)
            at = end_of_raw.start() if end_of_raw else len(page)
    if words := page[at:]:
        yield unescaped(words)
