"""Whether an answer came to its end: what APIs and programs say of how the model stopped.

| says so                                           | from                                                    |
|---------------------------------------------------|---------------------------------------------------------|
| finish_reason, stop_reason, done_reason: length   | OpenAI, Anthropic, Gemini, Ollama, TGI, vLLM, LangChain |
| status: incomplete, stopped, in_progress          | OpenAI's Responses and threads, Jan                     |
| error, unfinished, interrupted, truncated         | Open WebUI, LibreChat, HuggingChat, own logs            |

An answer that was cut off is context only: a model that learned it would learn to stop in the middle.
"""

from pydantic import JsonValue

from engine.data.records.content.marks import is_set

_REASONS = frozenset(
    (
        *("finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason", "doneReason", "stop_type"),
        *("finish_details", "incomplete_details", "tokenStopReason"),
    )
)
_HOLDERS = frozenset(
    ("metadata", "response_metadata", "generation_info", "generator", "genInfo", "stats", "info", "details")
)
"""Keys of objects in which a reason stands, beside what else is known of the answer."""
_MOST_HOLDERS = 4
"""Objects in objects that are looked into."""
_CUT_OFF = frozenset(
    (
        *("length", "maxtokens", "maxlength", "maxoutputtokens", "maxnewtokens", "tokenlimit", "limit", "modellength"),
        *("maxpredictedtokensreached", "contextlengthreached", "modelcontextwindowexceeded", "outoftokens"),
        *("contentfilter", "safety", "recitation", "blocklist", "prohibitedcontent", "insufficientsystemresource"),
        *("error", "failed", "abort", "aborted", "cancelled", "canceled", "interrupted", "incomplete", "timeout"),
        *(
            "clientabort",
            "filter",
            "issue",
            "userstopped",
            "usercanceled",
            "usercancelled",
            "clientstopped",
            "stoppedbyuser",
        ),
    )
)
"""Reasons by their letters, in lower case; any other is an end."""
_STATUSES = frozenset(
    (
        *("incomplete", "failed", "error", "aborted", "cancelled", "canceled", "interrupted", "stopped", "truncated"),
        *("in_progress", "finished_partial_completion", "partial", "pending", "generating", "streaming", "timeout"),
    )
)
_FAILED = frozenset(("incomplete", "failed", "error", "aborted", "truncated", "timeout"))
"""The same beside a whole record, of which other statuses may say something else: a ticket may be ``pending``."""
_FLAGS = frozenset(
    f"{before}{mark}"
    for mark in ("error", "truncated", "interrupted", "aborted", "incomplete", "unfinished", "partial", "cut_off")
    for before in ("", "is_")
) | {
    "isError",
    "isPartial",
    "isIncomplete",
    "isUnfinished",
    "pendingIncomplete",
    "stopped_limit",
    "generating",
    "isStreaming",
    "isCanceled",
    "isTruncated",
    "isInterrupted",
    "responseIsIncomplete",
}
"""Marks of an answer that was broken off; one that is not set marks nothing."""
_WHOLE = frozenset(("complete", "is_complete", "isComplete", "completed", "is_completed", "finished", "is_finished"))
"""Marks of an answer that came to its end."""
_SAYS = _REASONS | _HOLDERS | _FLAGS | _WHOLE | {"status", "stop_reason"}


def is_broken_off(message: dict[str, JsonValue]) -> bool:
    """Whether a message, or a response, failed or did not come to its end."""
    if _SAYS.isdisjoint(message):
        return False
    status = message.get("status")
    if isinstance(status, str) and status.lower() in _STATUSES:
        return True
    if any(mark in _FLAGS and is_set(message[mark]) for mark in message):
        return True
    return any(mark in _WHOLE and message[mark] is False for mark in message) or cut_off_by(message) != ""


def broken_off_by(record: dict[str, JsonValue]) -> str:
    """What beside a whole record says that it failed, or that its last answer was cut off; empty where nothing does."""
    if _SAYS.isdisjoint(record):
        return ""
    status = record.get("status")
    if isinstance(status, str) and status.lower() in _FAILED:
        return f"status: {status}"
    found = (
        mark
        for mark in record
        if (mark in _FLAGS and is_set(record[mark])) or (mark in _WHOLE and record[mark] is False)
    )
    return next(found, "") or cut_off_by(record)


def cut_off_by(record: dict[str, JsonValue]) -> str:
    """The reason beside an answer, or in its metadata, for which it was cut off; empty where it was not."""
    if _SAYS.isdisjoint(record):
        return ""
    waiting = [record]
    for marked in waiting:
        if reason := next(filter(None, (_cut_off(marked[key]) for key in _REASONS if key in marked)), ""):
            return reason
        if len(waiting) < _MOST_HOLDERS:
            waiting += [held for key in _HOLDERS if isinstance(held := marked.get(key), dict)]
    return ""


def _cut_off(reason: JsonValue) -> str:
    if isinstance(reason, dict):  # {"type": "max_tokens"}, {"reason": "max_output_tokens"}
        reason = reason.get("type", reason.get("reason"))
    if not isinstance(reason, str):
        return ""
    return reason if "".join(filter(str.isalpha, reason.lower())) in _CUT_OFF else ""
