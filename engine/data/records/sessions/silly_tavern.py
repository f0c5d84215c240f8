"""Chats of SillyTavern: a header, then a message a line.

Source: the ``chats`` folder of SillyTavern (``{"user_name", "character_name"}``, ``{"is_user", "mes", "swipes"}``).
``mes`` is the swipe that is shown; messages of the system are notes that the model never sees.
"""

from engine.data.records.dialogue import Turn
from engine.data.records.limits import FormatError
from engine.data.records.order import Row
from engine.data.records.values import Record, child, string

_NARRATOR = "narrator"
"""What the person writes by the command ``/sys``, under another name."""
_MEDIA = ("image", "image_swipes", "media", "file", "files", "video")


def is_header(record: Record) -> bool:
    """Whether a chat begins with this line."""
    return "user_name" in record and "character_name" in record and "mes" not in record


def is_line(record: Record) -> bool:
    """Whether this is a header or a message."""
    return is_header(record) or ("is_user" in record and isinstance(record.get("mes"), str))


def row_of(record: Record, number: int) -> Row:
    """A line as a row.

    Raises:
        FormatError: a picture or a file is shown in it.
    """
    if is_header(record):
        return Row((), begins=True)
    if record.get("is_system"):
        return Row(())
    extra = child(record, "extra")
    if shown := next((key for key in _MEDIA if extra.get(key)), ""):
        raise FormatError(f"turn {number}: '{shown}' beside what was said: only text can be learned")
    is_asked = record["is_user"] in (True, "true", "True") or extra.get("type") == _NARRATOR
    return Row((Turn("user" if is_asked else "assistant", string(record["mes"])),))
