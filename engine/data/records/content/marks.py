"""Marks of what is not to be learned: what nobody is to see, what another message replaced, and what is excluded."""

from pydantic import JsonValue

_UNSEEN = frozenset(
    f"{before}{mark}"
    for mark in ("hidden", "Hidden", "deleted", "Deleted", "internal", "Internal")
    for before in ("", "is_", "is")
) | {"deleted_at", "deletedAt", "is_visually_hidden_from_conversation"}
"""Marks of what nobody is to see; one that is not set marks nothing."""
_LEFT = frozenset(
    f"{before}{mark}"
    for mark in (
        "private",
        "removed",
        "draft",
        "unsent",
        "superseded",
        "replaced",
        "discarded",
        "retracted",
        "obsolete",
    )
    for before in ("", "is_")
) | {"isPrivate", "isRemoved", "isDraft", "isUnsent", "isSuperseded", "isSummary"}
"""The same of a message (Roo Code sums up what was said); of a whole conversation they mean something else."""
_SHOWN = frozenset(
    (
        *("visible", "is_visible", "isVisible", "active", "is_active", "isActive", "selected", "is_selected"),
        *("isSelected", "display", "displayed", "show", "shown", "latest", "is_latest", "isLatest", "is_current"),
        "isCurrent",
    )
)
"""Marks of the one among several answers that counts; of a whole conversation they mean something else."""
_STATES = ("status", "state", "visibility")
_LEFT_STATES = ("hidden", "internal", "private", *(mark for mark in _LEFT if "_" not in mark), "deleted")
"""What a state of a message says of one that does not count."""
_NOT_SET = ("", "false", "f", "0", "0.0", "no", "n", "none", "null")
"""How tables write a mark that is not set, whatever its case."""
_REFUSED = ("rejected", "discarded")
"""What tools for annotation say of a record, or an answer, that is not to be used."""
_EXCLUDED = frozenset(
    f"{before}{mark}" for mark in ("masked", "excluded", "ignored", "skipped") for before in ("", "is_")
) | {
    *("exclude", "ignore", "skip", "no_train", "do_not_train", "dont_train", "context_only"),
    *("ignore_loss", "mask_loss", "no_loss"),
}
"""Marks of what is not to be learned; one that is not set marks nothing."""


def unseen_mark(record: dict[str, JsonValue]) -> str:
    """The mark beside a message or a conversation, or in its metadata, that nobody is to see it; empty without one.

    A list is no mark: text-generation-webui keeps what the model saw under ``internal``.
    """
    metadata = record.get("metadata")
    for marked in (record, metadata) if isinstance(metadata, dict) else (record,):
        if not _UNSEEN.isdisjoint(marked):
            found = (mark for mark in marked if mark in _UNSEEN and is_set(marked[mark]))
            if mark := next(found, ""):
                return mark
    return ""


def is_left(message: dict[str, JsonValue]) -> bool:
    """Whether nobody is to see a message, or another one counts in its place."""
    if unseen_mark(message):
        return True
    if not _LEFT.isdisjoint(message) and any(mark in _LEFT and is_set(message[mark]) for mark in message):
        return True
    if any(isinstance(state := message.get(key), str) and state.lower() in _LEFT_STATES for key in _STATES):
        return True
    if message.get("channel") == "analysis" and message.get("role") == "assistant":  # thoughts of gpt-oss
        return True
    marks = () if _SHOWN.isdisjoint(message) else (message[mark] for mark in _SHOWN if mark in message)
    return any(mark is not None and mark != "" and not is_set(mark) for mark in marks)


def excluded_mark(record: dict[str, JsonValue]) -> str:
    """The mark beside a message or a conversation that it is not to be learned; empty without one."""
    if isinstance(status := record.get("status"), str) and status.lower() in _REFUSED:
        return "status"
    if _EXCLUDED.isdisjoint(record):
        return ""
    return next((mark for mark in record if mark in _EXCLUDED and is_set(record[mark])), "")


def is_set(value: JsonValue) -> bool:
    """Whether a mark with this value marks anything; a list does not."""
    if isinstance(value, str):
        return value.strip().lower() not in _NOT_SET
    return bool(value) and not isinstance(value, list)
