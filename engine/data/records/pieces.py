"""Plain text, cut into pieces that fit a context.

A piece ends at the last paragraph end, else line end, else space, in the second half of its 8,000 bytes. Where a piece
ends depends only on the bytes from its own start on, so a text that grows keeps all its pieces but the last.
"""

from pydantic import JsonValue

from engine.data.records.limits import FormatError, Limits
from engine.data.records.text import clean, decode
from engine.data.samples import Text

PIECE = 8_000
"""Bytes of the longest piece."""

_BORDERS = (b"\n\n", b"\r\n\r\n", b"\n", b" ")


def cut(raw: bytes, longest: int = PIECE) -> int:
    """The length of the first piece of ``raw``, which goes on to the end of the text or is at least ``longest``."""
    if len(raw) <= longest:
        return len(raw)
    for border in _BORDERS:
        at = raw.rfind(border, longest // 2, longest)
        if at >= 0:
            return at + len(border)
    end = longest
    while end > longest - 4 and raw[end] & 0xC0 == 0x80:  # not inside a character of several bytes
        end -= 1
    return end


def piece(raw: bytes, offset: int = 0) -> Text | None:
    """One piece as a sample; none where it holds only blanks.

    Raises:
        FormatError: it is not UTF-8.
    """
    text = clean(decode(raw, offset))
    return Text(text) if text else None


def pieces(text: str, longest: int = PIECE) -> list[Text]:
    """The text of one record, cut into pieces of at most ``longest`` bytes.

    Raises:
        FormatError: there is nothing in it.
    """
    raw = clean(text).encode()
    found = []
    while raw:
        length = cut(raw, longest)
        if made := piece(raw[:length]):
            found.append(made)
        raw = raw[length:]
    if not found:
        raise FormatError("'text' is empty")
    return found


_SPEAKERS = (
    *("role", "speaker", "speaker_id", "sender", "sender_id", "sender_name", "from", "from_id", "from_user", "user"),
    *("user_id", "userId", "username", "user_name", "is_user", "is_bot", "direction", "event", "channel", "channel_id"),
    *("conversation_id", "conversationId", "chat_id", "chatId", "session_id", "sessionId", "thread_id", "thread_ts"),
    *("message", "messages", "history", "chat_history", "prompt", "question", "answer", "response", "reply"),
    *("dialogue_id", "dialog_id", "turn", "turn_id", "turn_index", "in_reply_to", "reply_to", "utterance_id"),
    *("inbound", "response_tweet_id", "in_response_to_tweet_id", "speaker_idx", "is_human", "is_customer", "is_agent"),
    *("is_assistant", "sender_type", "author_role", "participant", "participant_id", "recipient_id", "receiver"),
    *("ticket_id", "conv_id", "call_id", "say", "ask"),
)
"""Keys that say of a text that somebody said it to others."""


def is_text(record: dict[str, JsonValue]) -> bool:
    """``{"text": "..."}``."""
    return isinstance(record.get("text"), str)


def parse_text(record: dict[str, JsonValue], limits: Limits) -> list[Text]:
    """The text of a record, cut into pieces.

    Raises:
        FormatError: there is nothing in it, or somebody said it in a talk.
    """
    del limits
    if said_by := next((key for key in _SPEAKERS if key in record), ""):
        raise FormatError(
            f"a text beside '{said_by}' is a message, but it does not say whether the assistant speaks: give 'role' "
            "and 'content', or only 'text' to have it learned as plain text"
        )
    text = record["text"]
    return pieces(text if isinstance(text, str) else "")
