"""Thumbs of ChatGPT's export, which lie in a file of their own beside the conversations: ``message_feedback.json``.

Source: the data export of ChatGPT (``[{"id": "id of the message", "conversation_id", "rating": "thumbs_down"}]``).
It is looked for in the same zip, and in the same folder.
"""

import functools
import json
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from engine.data.records.content.ratings import verdict_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, records, string

FILE = "message_feedback.json"
_TALK = ("role", "query", "question", "prompt", "answer", "response", "messages", "text", "input", "output")
"""Keys of what was said: beside these a rating is one of this record."""
_CONVERSATIONS = re.compile(r"conversations(?:-\d{1,4})?\.json")


def with_feedback(limits: Limits, listing: bytes) -> Limits:
    """The limits, with the answers that got a thumb down in the text of such a file."""
    disliked = _disliked_in(listing) if listing else frozenset[str]()
    return replace(limits, disliked=disliked) if disliked else limits


def with_feedback_beside(limits: Limits, path: Path) -> Limits:
    """The same, from the file that lies beside conversations at ``path``; as given without."""
    if _CONVERSATIONS.fullmatch(path.name) is None:
        return limits
    listing = path.parent / FILE
    try:
        if not stat.S_ISREG(listing.stat().st_mode):
            return limits
        with listing.open("rb") as file:
            return with_feedback(limits, file.read(limits.record_bytes))
    except OSError:
        return limits


@functools.lru_cache(maxsize=1)
def _disliked_in(listing: bytes) -> frozenset[str]:
    """The ids of answers with a thumb down."""
    try:
        disliked = [each for each in records(json.loads(listing)) if verdict_of(each.get("rating")) is False]
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(name for each in disliked if (name := string(each.get("id"))))


def _fits(record: Record) -> bool:
    return {"id", "conversation_id", "rating"} <= record.keys() and record.keys().isdisjoint(_TALK)


def _refuse(record: Record, limits: Limits) -> NoReturn:
    del record, limits
    raise FormatError(
        f"thumbs of ChatGPT's export ({FILE}), in which nothing was said: they count for conversations.json in the "
        "same zip or folder"
    )


SHAPE = RecordShape("ChatGPT's thumbs {conversation_id, rating}", _fits, _refuse, ("rating",))
