"""Messengers: people among themselves. Only where a bot answers is it known who the assistant is.

Sources: DiscordChatExporter (``{"channel", "messages": [{"content", "author": {"isBot"}}]}``), the day files of Slack's
export (``{"type": "message", "user", "text", "ts"}``), and Meta's download of Messenger and Instagram
(``{"participants", "messages": [{"sender_name", "timestamp_ms", "content"}]}``).
"""

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.exports.values import Record, child, records, string
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.samples import Dialogue

_WHO = "who of the speakers is the assistant is not known: write the roles 'user' and 'assistant' instead of the names"


def _is_discord(record: Record) -> bool:
    return "channel" in record and any("author" in message for message in records(record.get("messages")))


def _parse_discord(record: Record, limits: Limits) -> Dialogue:
    messages = [each for each in records(record["messages"]) if each.get("type") in ("Default", "Reply", None)]
    if not any(child(message, "author").get("isBot") for message in messages):
        raise FormatError(f"a channel of Discord without a bot (author.isBot): {_WHO}")
    return dialogue_of(
        [
            Turn("assistant" if child(message, "author").get("isBot") else "user", string(message.get("content")))
            for message in messages
        ],
        limits,
    )


def _is_slack(record: Record) -> bool:
    return record.get("type") == "message" and "ts" in record and "text" in record


def _refuse_slack(record: Record, limits: Limits) -> Dialogue:
    del record, limits
    raise FormatError(f"a message of Slack's export {{user, text, ts}}: {_WHO}")


def _is_messenger(record: Record) -> bool:
    return any("sender_name" in message for message in records(record.get("messages")))


def _refuse_messenger(record: Record, limits: Limits) -> Dialogue:
    del record, limits
    raise FormatError(f"a talk of Messenger or Instagram {{sender_name, content}}: {_WHO}")


SHAPES = (
    RecordShape("Discord's channels {channel, messages}", _is_discord, _parse_discord),
    RecordShape("Slack's messages {user, text, ts}", _is_slack, _refuse_slack),
    RecordShape("Messenger's talks {participants, messages}", _is_messenger, _refuse_messenger),
)
