"""Saved stories of KoboldCpp and KoboldAI Lite: one text in pieces, in which marks part who spoke.

Source: "Save" of KoboldAI Lite (``{"gamestarted", "prompt", "actions": [...], "savedsettings": {"opmode"}}``). In
instruct mode (4) the marks are ``{{[INPUT]}}`` and ``{{[OUTPUT]}}``, in older files the tags of the settings; in chat
mode (3) each turn begins with a name. Stories and adventures have no turns.
"""

import re

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, items, string
from engine.data.samples import Dialogue, Role

_INSTRUCT, _CHAT = 4, 3
_MARK = re.compile(r"\{\{\[(INPUT|OUTPUT|SYSTEM)(?:_END)?\]\}\}")
_ROLES: dict[str, Role] = {"INPUT": "user", "OUTPUT": "assistant", "SYSTEM": "system"}


def _fits(record: Record) -> bool:
    return "gamestarted" in record and isinstance(record.get("actions"), list)


def _parse(record: Record, limits: Limits) -> Dialogue:
    settings = child(record, "savedsettings")
    text = string(record.get("prompt")) + "".join(string(piece) for piece in items(record["actions"]))
    memory = Turn("system", string(record.get("memory")))
    if settings.get("opmode") == _CHAT:
        return dialogue_of([memory, *_by_name(text, settings)], limits)
    for role, key in (("INPUT", "instruct_starttag"), ("OUTPUT", "instruct_endtag")):
        tag = string(settings.get(key)).replace("\\n", "\n").strip()
        text = text.replace(tag, f"{{{{[{role}]}}}}") if tag else text
    if settings.get("opmode") != _INSTRUCT or not _MARK.search(text):
        raise FormatError("a story of KoboldCpp without turns: save its text, and give that to the corpus")
    return dialogue_of([memory, *_by_mark(text)], limits)


def _by_mark(text: str) -> list[Turn]:
    pieces = _MARK.split(text)
    if pieces[0].strip():
        raise FormatError("a story of KoboldCpp with words before the first turn: it does not say who wrote them")
    return [Turn(_ROLES[mark], said.strip()) for mark, said in zip(pieces[1::2], pieces[2::2], strict=True)]


def _by_name(text: str, settings: Record) -> list[Turn]:
    """The turns of a chat, each behind a name at the start of a line."""
    asker = string(settings.get("chatname")) or "User"
    answerers = string(settings.get("chatopponent")).split("||$||")
    names = "|".join(re.escape(name) for name in (asker, *answerers) if name)
    pieces = re.split(rf"(?:\A|\n)({names}): ?", text)
    if pieces[0].strip():
        raise FormatError("a chat of KoboldCpp with words before the first turn: it does not say who wrote them")
    named = zip(pieces[1::2], pieces[2::2], strict=True)
    return [Turn("user" if name == asker else "assistant", said.strip()) for name, said in named]


SHAPE = RecordShape("KoboldCpp's saved stories {prompt, actions, savedsettings}", _fits, _parse, ("gamestarted",))
