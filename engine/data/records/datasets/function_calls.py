"""Questions that are answered by calls to tools: what to call stands in a text of JSON, or behind a mark of Glaive's.

| record                                              | from                            |
|-----------------------------------------------------|---------------------------------|
| {query, tools, answers: "[{name, arguments}]"}      | xLAM's function calling         |
| {system, chat: "USER: ... <functioncall> {...}"}    | Glaive's function calling, v2   |
"""

import json
import re

from engine.data.records.calls.tools import calls_in, opened
from engine.data.records.dialogue import Turn, dialogue_of, system_turn
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, string
from engine.data.samples import Dialogue, Role, ToolCall

_SPEAKS = re.compile(r"(?:\A|\n)[ \t]*(USER|ASSISTANT|FUNCTION RESPONSE):[ \t]*")
_ROLES: dict[str, Role] = {"USER": "user", "ASSISTANT": "assistant", "FUNCTION RESPONSE": "tool"}
_END = re.compile(r"<\|endoftext\|>")
_CALL = "<functioncall>"
_CALLED = re.compile(r"""\{\s*"name":\s*"([^"\n]+)"(?:,\s*"arguments":\s*(?:'(.*)'|(\{.*\})))?\s*\}\s*\Z""", re.DOTALL)
_INTRODUCED = re.compile(r"[^.\n]*access to the following functions[^{]*(?=\{)")


def _is_xlam(record: Record) -> bool:
    answers = record.get("answers")
    return isinstance(record.get("query"), str) and isinstance(answers, str) and bool(calls_in(answers))


def _parse_xlam(record: Record, limits: Limits) -> Dialogue:
    asked = Turn("user", string(record["query"]))
    called = Turn("assistant", "", calls_in(string(record["answers"])))
    return dialogue_of([*system_turn(None, record.get("tools")), asked, called], limits)


def _is_glaive(record: Record) -> bool:
    chat = string(record.get("chat"))
    return _CALL in chat and "USER:" in chat


def _parse_glaive(record: Record, limits: Limits) -> Dialogue:
    pieces = _SPEAKS.split(_END.sub("", string(record["chat"])))
    said = zip(pieces[1::2], pieces[2::2], strict=True)
    return dialogue_of([*_instructions(string(record.get("system"))), *(_turn(*each) for each in said)], limits)


def _turn(speaker: str, said: str) -> Turn:
    """A turn; what stands behind the mark of a call is one.

    Raises:
        FormatError: it cannot be read as one.
    """
    text, mark, written = said.partition(_CALL)
    if not mark:
        return Turn(_ROLES[speaker], said.strip())
    called = _CALLED.match(written.strip())
    if called is None:
        raise FormatError(f"a call that cannot be read: {written.strip()[:80]!r}")
    arguments = (called[2] or called[3] or "{}").replace("\\'", "'")
    return Turn(_ROLES[speaker], text.strip(), (ToolCall(called[1], opened(arguments)),))


def _instructions(system: str) -> list[Turn]:
    """The instructions with the tools that stand in them one after the other."""
    system = system.removeprefix("SYSTEM:").strip()
    introduced = _INTRODUCED.search(system)
    if introduced is None:
        return system_turn(system, None)
    written, tools = system[introduced.end() :].strip(), []
    try:
        while written:
            tool, end = json.JSONDecoder().raw_decode(written)
            tools.append(tool)
            written = written[end:].strip()
    except (ValueError, RecursionError):
        return system_turn(system, None)
    return system_turn(system[: introduced.start()].strip(), tools)


SHAPES = (
    RecordShape("xLAM's {query, tools, answers}", _is_xlam, _parse_xlam, ("answers",)),
    RecordShape("Glaive's {system, chat}", _is_glaive, _parse_glaive, ("chat",)),
)
