"""Meta's downloads of Messenger and Instagram: ``message_1.json``, newest message first.

Sources: "Download your information" as JSON (``{"participants", "messages": [{"sender_name", "timestamp_ms",
"content"}]}``), in which every string is UTF-8 read as Latin-1, and the download of end-to-end encrypted chats
(``{"participants", "messages": [{"senderName", "timestamp", "text"}]}``), in which it is not.
"""

import re
from typing import BinaryIO

from engine.data.readers.head import Head
from engine.data.readers.messengers.export import any_of, beginning, document, in_order, number
from engine.data.readers.messengers.said import Said
from engine.data.readers.messengers.talks import format_of
from engine.data.records.limits import Limits
from engine.data.records.values import Record, is_record, records, string

_MEDIA = ("photos", "videos", "audio_files", "files", "gifs", "sticker", "media")
_NOTICE = re.compile(
    r"(?:Reacted .{1,12} to your message|.{1,80} (?:sent (?:an attachment|a photo|a video|a voice message|a GIF)"
    r"|(?:missed|started) (?:a|your) (?:video )?call|(?:joined|left) the (?:video )?(?:call|group)"
    r"|(?:changed|set) (?:the|your|his|her|their) .{1,80}|(?:named|created) the group.*)) *\.? *$"
)
"""What the program itself writes in the name of somebody."""


def _fits(head: Head) -> bool:
    start = beginning(head)
    return b'"participants"' in start and (b'"sender_name"' in start or b'"senderName"' in start)


def _said_in(stream: BinaryIO, limits: Limits) -> list[Said]:
    export = document(stream, limits)
    messages = records(export.get("messages") if is_record(export) else None)
    return in_order(_said(message) for message in messages[::-1] if not any_of(message, ("is_unsent", "isUnsent")))


def _said(message: Record) -> Said:
    name = _repaired(string(message.get("sender_name"))) or string(message.get("senderName")) or "?"
    text = _repaired(string(message.get("content"))) or string(message.get("text"))
    time = number(message.get("timestamp_ms", message.get("timestamp")))
    return Said(
        (name,),
        "" if _NOTICE.match(text) or message.get("type") in ("Call", "Subscribe", "Unsubscribe") else text,
        None if time is None else time / 1000,
        has_media=any_of(message, _MEDIA),
    )


def _repaired(text: str) -> str:
    """A text whose UTF-8 was read as Latin-1, as it was meant."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


FORMAT = format_of("Messenger", "a talk of Messenger or Instagram {sender_name, content}", _fits, _said_in)
