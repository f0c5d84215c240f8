"""Marks of what is not to be learned: what nobody is to see, what was broken off, and what is excluded."""

from pydantic import JsonValue

_UNSEEN = frozenset(
    f"{before}{mark}"
    for mark in ("hidden", "Hidden", "deleted", "Deleted", "internal", "Internal")
    for before in ("", "is_", "is")
) | {"deleted_at", "deletedAt", "is_visually_hidden_from_conversation"}
"""Marks of what nobody is to see; one that is not set marks nothing."""
_SHOWN = frozenset(
    ("visible", "is_visible", "isVisible", "active", "is_active", "isActive", "selected", "is_selected", "isSelected")
)
"""Marks of the one among several answers that counts; of a whole conversation they mean something else."""
_BROKEN_OFF = ("incomplete", "failed", "error", "aborted", "cancelled", "canceled", "interrupted")
"""What the ``status`` of a message says of one that did not come to its end."""
_NOT_SET = ("", "false", "f", "0", "0.0", "no", "n", "none", "null")
"""How tables write a mark that is not set, whatever its case."""
_EXCLUDED = frozenset(
    f"{before}{mark}" for mark in ("masked", "excluded", "ignored", "skipped") for before in ("", "is_")
) | {"exclude", "ignore", "skip", "no_train", "do_not_train", "dont_train", "context_only"}
"""Marks of what is not to be learned; one that is not set marks nothing."""


def unseen_mark(record: dict[str, JsonValue]) -> str:
    """The mark beside a message or a conversation, or in its metadata, that nobody is to see it; empty without one.

    A list is no mark: text-generation-webui keeps what the model saw under ``internal``.
    """
    metadata = record.get("metadata")
    for marked in (record, metadata) if isinstance(metadata, dict) else (record,):
        if not _UNSEEN.isdisjoint(marked):
            found = (mark for mark in marked if mark in _UNSEEN and _is_set(marked[mark]))
            if mark := next(found, ""):
                return mark
    return ""


def is_left(message: dict[str, JsonValue]) -> bool:
    """Whether nobody is to see a message, or another one counts in its place."""
    if unseen_mark(message):
        return True
    marks = () if _SHOWN.isdisjoint(message) else (message[mark] for mark in _SHOWN if mark in message)
    return any(mark is not None and mark != "" and not _is_set(mark) for mark in marks)


def is_broken_off(message: dict[str, JsonValue]) -> bool:
    """Whether a message failed, or did not come to its end."""
    status = message.get("status")
    is_error = message.get("error") is True or message.get("is_error") is True
    return is_error or (isinstance(status, str) and status.lower() in _BROKEN_OFF)


def excluded_mark(record: dict[str, JsonValue]) -> str:
    """The mark beside a message or a conversation that it is not to be learned; empty without one."""
    if _EXCLUDED.isdisjoint(record):
        return ""
    return next((mark for mark in record if mark in _EXCLUDED and _is_set(record[mark])), "")


def _is_set(value: JsonValue) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in _NOT_SET
    return bool(value) and not isinstance(value, list)
