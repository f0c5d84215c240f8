"""Pictures, sounds and files that stand in a text itself, as a data URI: ``![](data:image/png;base64,iVBORw0...)``."""

import re

from pydantic import JsonValue

from engine.data.records.limits import FormatError

MARK = ";base64,"
"""In every text with such a picture."""
_FEWEST = 200
"""Characters of the smallest that is refused: less is a dot or an icon in a style sheet, which people talk about."""
_PICTURE = re.compile(
    rf"data:(?:image|audio|video|font|application)/[\w.+-]{{1,60}}(?:;[\w=.-]{{1,60}}){{0,3}};base64,[\w+/=%-]{{{_FEWEST}}}"
)
_ATTACHED = frozenset(
    (
        *("images", "image", "image_url", "image_urls", "attachments", "experimental_attachments", "files", "file_ids"),
        *("audio", "audios", "video", "videos", "media"),
    )
)
"""Keys of what is sent with a message."""
_SHOWN = re.compile(r"\s*!\[[^\]\n]{0,200}\]\([^)\n]{1,500}\)")
_SHOWN_LAST = re.compile(r"!\[[^\]\n]{0,200}\]\([^)\n]{1,500}\)\s*\Z")
"""A picture in Markdown: at the beginning or the end of what a user says it is what they ask about."""
_PLACE = re.compile(r"\s*<(?:image|video|audio)>\s*(?:\n|\Z)|.*\n\s*<(?:image|video|audio)>\s*\Z", re.DOTALL)


def is_place_of_picture(text: str) -> bool:
    """Whether the first or the last line of a text stands for a picture or a sound, as in data sets of LLaVA."""
    return _PLACE.match(text) is not None


def has_picture(text: str) -> bool:
    """Whether there is one in a text."""
    return MARK in text and _PICTURE.search(text) is not None


def check_has_nothing_attached(message: dict[str, JsonValue], number: int) -> None:
    """Only text can be learned.

    Raises:
        FormatError: a picture, a sound or a file is sent with message ``number``.
    """
    if not _ATTACHED.isdisjoint(message) and (key := next((key for key in _ATTACHED if message.get(key)), "")):
        raise FormatError(f"turn {number}: '{key}' beside what was said: only text can be learned")


def check_has_no_picture(text: str, *, is_asked: bool) -> None:
    """Only text can be learned; ``is_asked`` is what a user says.

    Raises:
        FormatError: there is a picture in it, or something that stands for one.
    """
    if is_place_of_picture(text):
        raise FormatError("a line that stands for a picture or a sound (<image>): only text can be learned")
    if has_picture(text):
        raise FormatError("a picture, a sound or a file in the text (data:...;base64,...): only text can be learned")
    if is_asked and "![" in text and (_SHOWN.match(text) or _SHOWN_LAST.search(text)):
        raise FormatError("a question with a picture in Markdown (![...](...)): only text can be learned")
