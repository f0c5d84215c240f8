"""Cherry Studio's backup: topics with messages, whose words stand in blocks of their own.

Source: `CherryHQ/cherry-studio`, src/renderer/src/services/BackupService.ts (``data.json`` of a backup: ``{"version",
"localStorage", "indexedDB": {"topics": [{"messages": [{"id", "role", "askId", "blocks"}]}], "message_blocks": [{"id",
"type": "main_text", "content"}]}}``; older versions keep ``content`` in the message). Where several models answered,
the answer that the person folded out or marked as useful counts.
"""

from collections.abc import Mapping, Sequence

from engine.data.records.content.endings import is_broken_off
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.roles import role_of
from engine.data.records.shape import Parsed, RecordShape
from engine.data.records.values import Record, child, items, records, string
from engine.data.samples import Dialogue

_SAID = "main_text"
_SHOWN = ("image", "file", "video")
_CHOSEN = ("useful", "foldSelected")


def _fits(record: Record) -> bool:
    return isinstance(child(record, "indexedDB").get("topics"), list)


def _parse(record: Record, limits: Limits) -> Sequence[Parsed]:
    stored = child(record, "indexedDB")
    blocks = {string(each.get("id")): each for each in records(stored.get("message_blocks"))}
    found: list[Parsed] = []
    for topic in records(stored["topics"]):
        if records(topic.get("messages")):
            try:
                found.append(_topic(records(topic["messages"]), blocks, limits))
            except FormatError as error:
                found.append(FormatError(f"topic {string(topic.get('id'))[:40]!r}: {error}"))
    return found or [FormatError("a backup of Cherry Studio without messages: there is nothing to learn")]


def _topic(messages: Sequence[Record], blocks: Mapping[str, Record], limits: Limits) -> Dialogue:
    answers: dict[str, list[Record]] = {}
    for message in messages:
        if message.get("role") == "assistant" and (asked := string(message.get("askId"))):
            answers.setdefault(asked, []).append(message)
    counting = {asked: _chosen(several) for asked, several in answers.items()}
    turns = [
        _turn(message, number, blocks)
        for number, message in enumerate(messages, 1)
        if message.get("type") != "clear" and counting.get(string(message.get("askId")), message) is message
    ]
    return dialogue_of(turns, limits)


def _chosen(answers: Sequence[Record]) -> Record:
    """The answer that counts.

    Raises:
        FormatError: there are several, and none is chosen.
    """
    if len(answers) == 1:
        return answers[0]
    chosen = next(
        ([each for each in answers if each.get(mark)] for mark in _CHOSEN if any(a.get(mark) for a in answers)), []
    )
    if len(chosen) != 1:
        raise FormatError(f"{len(answers)} models answered side by side: it does not say which answer counts")
    return chosen[0]


def _turn(message: Record, number: int, blocks: Mapping[str, Record]) -> Turn:
    parts = [blocks.get(string(name), {}) for name in items(message.get("blocks"))]
    if shown := next((string(each.get("type")) for each in parts if each.get("type") in _SHOWN), ""):
        raise FormatError(f"turn {number}: a block of type {shown!r}: only text can be learned")
    said = [string(each.get("content")) for each in parts if each.get("type") == _SAID]
    text = "\n".join(said) or string(message.get("content"))
    has_failed = is_broken_off(message) or any(each.get("type") == "error" for each in parts)
    return Turn(role_of(message.get("role"), number), text, weight=0 if has_failed else 1)


SHAPE = RecordShape("Cherry Studio's backups {indexedDB: {topics}}", _fits, _parse, ("indexedDB",))
