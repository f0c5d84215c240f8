"""Chats of SillyTavern: a header, then a message a line.

Source: the ``chats`` folder of SillyTavern (``{"user_name", "character_name"}``, ``{"is_user", "mes", "swipes"}``).
``mes`` is the swipe that is shown; messages of the system are notes that the model never sees.
"""

from engine.data.records.dialogue import Turn
from engine.data.records.order import Row
from engine.data.records.values import Record, string


def is_header(record: Record) -> bool:
    """Whether a chat begins with this line."""
    return "user_name" in record and "character_name" in record and "mes" not in record


def is_line(record: Record) -> bool:
    """Whether this is a header or a message."""
    return is_header(record) or ("is_user" in record and isinstance(record.get("mes"), str))


def row_of(record: Record, number: int) -> Row:
    """A line as a row."""
    del number
    if is_header(record):
        return Row((), begins=True)
    if record.get("is_system"):
        return Row(())
    is_asked = record["is_user"] in (True, "true", "True")
    return Row((Turn("user" if is_asked else "assistant", string(record["mes"])),))
