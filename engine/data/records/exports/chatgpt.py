"""ChatGPT's ``conversations.json``, and DeepSeek's: a conversation is a tree of messages, one branch of it is active.

Source: the data export of ChatGPT (Settings, Data controls, Export). ``mapping`` holds the nodes by id,
``current_node`` the end of the branch that the person saw last; regenerated and edited turns are other branches.
DeepSeek's export has no ``current_node``, and ``fragments`` in place of roles: the newest branch counts.
"""

from pydantic import JsonValue

from engine.data.records.content.citations import without_citations
from engine.data.records.content.endings import is_broken_off
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.exports.tree import branch
from engine.data.records.limits import FormatError, Limits
from engine.data.records.roles import role_of
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, is_record, items, records, string
from engine.data.samples import Dialogue, Role

_INTERNAL = frozenset(
    "code execution_output tether_browsing_display tether_quote system_error thoughts reasoning_recap "
    "user_editable_context model_editable_context app_pairing_content super_widget".split()
)
"""Types of content that the program keeps for itself: tools at work, thoughts, memory."""


_OF_DEEPSEEK: dict[str, Role] = {"REQUEST": "user", "RESPONSE": "assistant"}


def _fits(record: Record) -> bool:
    return isinstance(record.get("mapping"), dict)


def _parse(record: Record, limits: Limits) -> Dialogue:
    nodes = branch(child(record, "mapping"), record.get("current_node"), parent="parent")
    messages = [message for node in nodes if is_record(message := node.get("message"))]
    turns: list[Turn] = []
    for number, message in enumerate(messages, 1):
        is_bad = string(message.get("id")) in limits.disliked
        turns += [turn._replace(weight=0) if is_bad else turn for turn in _turns(message, number)]
    return dialogue_of(turns, limits)


def _turns(message: Record, number: int) -> list[Turn]:
    """The turn that a message is; none where it is not part of what was said."""
    if fragments := records(message.get("fragments")):
        return _fragments(message, fragments, number)
    content = child(message, "content")
    role = string(child(message, "author").get("role")).lower()
    is_hidden = bool(child(message, "metadata").get("is_visually_hidden_from_conversation"))
    is_for_tool = message.get("recipient") not in (None, "all")
    is_internal = role == "tool" or (role == "system" and message.get("weight") == 0)
    if is_hidden or is_for_tool or is_internal or string(content.get("content_type")) in _INTERNAL:
        return []
    if child(message, "metadata").get("attachments"):
        raise FormatError(f"turn {number}: a file is attached: only text can be learned")
    parts = items(content.get("parts"))
    if any(map(_is_transcribed, parts)):  # of what was spoken, the sound lies beside its words
        parts = [part for part in parts if isinstance(part, str) or _is_transcribed(part)]
    said = without_citations("\n".join(_part(part, number) for part in parts))
    return [Turn(role_of(role, number), said, weight=0 if is_broken_off(message) else 1)]


def _fragments(message: Record, fragments: list[Record], number: int) -> list[Turn]:
    """What a message of DeepSeek says; its other fragments are thoughts and searches."""
    if message.get("files"):
        raise FormatError(f"turn {number}: a file is attached: only text can be learned")
    kinds = ((_OF_DEEPSEEK.get(string(each.get("type"))), string(each.get("content"))) for each in fragments)
    return [Turn(role, text) for role, text in kinds if role is not None]


def _is_transcribed(part: JsonValue) -> bool:
    return is_record(part) and part.get("content_type") == "audio_transcription"


def _part(part: JsonValue, number: int) -> str:
    if isinstance(part, str):
        return part
    if is_record(part) and isinstance(text := part.get("text"), str):
        return text
    kind = part.get("content_type") if is_record(part) else None
    raise FormatError(f"turn {number}: a part of type {kind!r}: only text can be learned")


SHAPE = RecordShape("ChatGPT's export {mapping, current_node}", _fits, _parse, ("mapping",))
