"""Zendesk: tickets with their comments, and chats with their history.

Sources: Zendesk's API and exports of tickets (``{"requester_id", "comments": [{"author_id", "body", "public"}]}``) and
of chats (``{"history": [{"type": "chat.msg", "sender_type", "msg"}]}``).
"""

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, records, string
from engine.data.samples import Dialogue, Role


def _is_ticket(record: Record) -> bool:
    comments = records(record.get("comments"))
    return bool(comments) and all("author_id" in comment for comment in comments)


def _parse_ticket(record: Record, limits: Limits) -> Dialogue:
    """What the requester writes is asked, what others write is answered; private notes are not part of it."""
    ticket = {**record, **child(record, "ticket")}
    asker = ticket.get("requester_id", child(ticket, "requester").get("id"))
    if asker is None:
        raise FormatError("comments of Zendesk without 'requester_id': they do not say which author asked")
    public = [comment for comment in records(record["comments"]) if comment.get("public", True)]
    if any(comment.get("attachments") for comment in public if comment["author_id"] == asker):
        raise FormatError("a question with a file: only text can be learned")
    return dialogue_of(
        [Turn("user" if each["author_id"] == asker else "assistant", _said(each)) for each in public], limits
    )


def _said(comment: Record) -> str:
    return string(comment.get("plain_body") or comment.get("body"))


def _is_chat(record: Record) -> bool:
    history = records(record.get("history"))
    return any("msg" in each and "sender_type" in each for each in history)


def _parse_chat(record: Record, limits: Limits) -> Dialogue:
    said = [each for each in records(record["history"]) if each.get("type") == "chat.msg"]
    if any(each.get("type") == "chat.file" and _role(each) == "user" for each in records(record["history"])):
        raise FormatError("a question with a file: only text can be learned")
    return dialogue_of([Turn(_role(each), string(each.get("msg"))) for each in said], limits)


def _role(message: Record) -> Role:
    return "user" if string(message.get("sender_type")).lower() == "visitor" else "assistant"


SHAPES = (
    RecordShape("Zendesk's tickets {requester_id, comments}", _is_ticket, _parse_ticket, ("comments",)),
    RecordShape("Zendesk's chats {history: [{sender_type, msg}]}", _is_chat, _parse_chat, ("history",)),
)
