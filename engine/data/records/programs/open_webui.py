"""Open WebUI's chats: ``{"chat": {...}}`` with a list of messages, or the tree of which it is the branch shown last.

Source: "Export chats" of Open WebUI, and the column of that name in webui.db
(`open-webui/backend/open_webui/models/chats.py`). Thoughts are folded into the answers as ``<details>``.
"""

import re

from engine.data.records.dialogue import dialogue_of
from engine.data.records.exports.tree import branch
from engine.data.records.limits import FormatError, Limits
from engine.data.records.messages import openai_turns
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, is_record, items, records, string
from engine.data.samples import Dialogue

_FOLDED = re.compile(r'<details type="(?:reasoning|code_interpreter|tool_calls)"[^>]*+>.*?</details>', re.DOTALL)


def chat_of(record: Record) -> Record:
    """The chat in a record; the record itself where it is one."""
    return child(record, "chat") or record


def _fits(record: Record) -> bool:
    chat = chat_of(record)
    return isinstance(child(chat, "history").get("messages"), dict)


def _parse(record: Record, limits: Limits) -> Dialogue:
    chat = chat_of(record)
    history = child(chat, "history")
    shown = [each for each in items(chat.get("messages")) if is_record(each)]
    messages = shown or branch(child(history, "messages"), history.get("currentId"), parent="parentId")
    if any(file.get("type") == "image" for each in messages for file in records(each.get("files"))):
        raise FormatError("a message with a picture: only text can be learned")
    unfolded = [{**each, "content": _FOLDED.sub("", string(each.get("content")))} for each in messages]
    system = chat.get("system") or child(chat, "params").get("system")
    return dialogue_of(openai_turns({**chat, "system": system, "messages": [*unfolded]}), limits)


SHAPE = RecordShape("Open WebUI's {chat: {history}}", _fits, _parse, ("chat", "history"))
