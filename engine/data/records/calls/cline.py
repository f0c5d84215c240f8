"""Sessions of Cline and Roo Code: what the person said, and the calls and results that stand in the texts.

    user       <task> what the person wants </task> <environment_details> ... </environment_details>
    assistant  I look at it. <read_file> <path>a.py</path> </read_file>
    user       [read_file for 'a.py'] Result: ... <environment_details> ... </environment_details>
    user       [attempt_completion] Result: The user has provided feedback <feedback> what they say </feedback>

What the editor shows (``environment_details``) stands in messages of the user, and tells such a session from other
texts. Of these messages the results become turns of the tool, and what the person said is a turn of the user; all else
is the program's own: files that were mentioned, notices of errors, of a task that goes on, and the like.

Source: `cline/cline` and `RooCodeInc/Roo-Code`, ``tasks/*/api_conversation_history.json``, whose texts are written by
src/core/prompts/responses.ts. Newer versions keep calls and results as parts of their own, of which only the texts in
them are read here.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

from pydantic import JsonValue

from engine.data.records.turn import Turn
from engine.data.samples import ToolCall

MARK = "<environment_details>"
"""What tells a session, at the beginning of a line."""
_DETAILS = re.compile(r"(?m)^<(environment_details)>")
_MENTIONED = re.compile(
    r"(?m)^<(file_content|folder_content|url_content|workspace_diagnostics|git_working_state|git_commit"
    r"|terminal_output|explicit_instructions)\b[^>\n]*>"
)
_WORDS = re.compile(r"(?m)^<(task|user_message|feedback|answer)>")
"""What the person said stands in these."""
_REPLY = re.compile(r"(?m)^<(user_message|feedback|answer)>")
"""What the person said to a call, in its result."""
_OWN = (
    *("[ERROR]", "[TASK RESUMPTION]", "[Task resumption]", "Task resumption:", "[NOTE]", "[[NOTE]"),
    *("# TODO LIST", "Missing value for required parameter", "The tool execution failed", "Tool [", "Skipping tool ["),
    *("The user denied this operation", "You seem to be having trouble", "New message to respond to", "<hook_context"),
)
_RESULT = "] Result:"
_TOOL = re.compile(r"\[(\w+)(?: (?:for|in|to) |\] Result:)")
_END = re.compile(r"</(\w+)>")
_CALL = re.compile(r"(?m)^[ \t]*<(\w+)>")
_PARAMETER = re.compile(r"\s*<(\w+)>")
_LONG = ("content", "diff", "result", "response")
"""Parameters that may hold what ends a parameter."""
_LONGEST_LINE = 400
"""Characters of the line in which the program says that the person replied."""
_TO_PERSON = frozenset(("attempt_completion", "ask_followup_question", "plan_mode_respond"))
"""Calls by which the model speaks to the person: often the last, without a result."""


class _Block(NamedTuple):
    """What stands between two tags, and where the first begins and the second ends."""

    name: str
    begin: int
    end: int
    inner: str


def with_calls(turns: Sequence[Turn]) -> Sequence[Turn]:
    """The turns with what was said, called and given back told apart; as they are where this is no such session."""
    given = [turn.content for turn in turns if turn.role in ("user", "tool")]
    if not any(MARK in text and _DETAILS.search(text) for text in given):
        return turns
    found: list[Turn] = []
    for turn in turns:
        if turn.role == "assistant":
            found.append(_called(turn, _TO_PERSON))
            continue
        if turn.role == "system":
            found.append(turn)
            continue
        tools, read = _told_apart(turn)
        if tools and found and found[-1].role == "assistant":
            found[-1] = _called(found[-1], tools)
        found += read
    return found


def _told_apart(turn: Turn) -> tuple[set[str], list[Turn]]:
    """The names of the tools whose results a message holds; the turns of the tools, then that of the person."""
    text = _without(turn.content, _DETAILS)
    begins = _results_in(text)
    first = begins[0][1] if begins else len(text)
    if turn.role == "tool":
        result, words = _replied(text[begins[0][2] :] if begins and not first else text)
        return set(), [turn._replace(content=result), Turn("user", "\n\n".join(words))]
    said = [_said(text[:first])]
    ends = [begin for _, begin, _ in begins[1:]] + [len(text)]
    results: list[Turn] = []
    for (_, _, begin), end in zip(begins, ends, strict=False):
        result, words = _replied(text[begin:end])
        results.append(Turn("tool", result))
        said += words
    return {name for name, _, _ in begins}, [*results, turn._replace(content="\n\n".join(filter(None, said)))]


def _results_in(text: str) -> list[tuple[str, int, int]]:
    """Of each result the tool, where its heading begins, and where the result does."""
    found: list[tuple[str, int, int]] = []
    at = 0
    while (end := text.find(_RESULT, at)) >= 0:
        line = end
        while line > at:  # the heading may hold a command of several lines
            line = max(text.rfind("\n[", at, line) + 1, at)
            tool = _TOOL.match(text, line)
            if tool and (line == 0 or text[line - 1] == "\n"):
                found.append((tool[1], line, end + len(_RESULT)))
                break
        at = end + len(_RESULT)
    return found


def _said(text: str) -> str:
    """What the person said, in a text without results."""
    text = _without(text, _MENTIONED)
    if words := [block.inner.strip() for block in _blocks(text, _WORDS)]:
        return "\n\n".join(words)
    return "" if text.lstrip().startswith(_OWN) else text.strip()


def _replied(result: str) -> tuple[str, list[str]]:
    """A result without what the person said to the call; what they said."""
    words = [block for block in _blocks(result, _REPLY) if _is_reply(result, block.begin)]
    rest = "".join(
        result[begin:end]
        for begin, end in zip(
            [0, *(block.end for block in words)], [*(block.begin for block in words), len(result)], strict=True
        )
    )
    return rest.strip(), [block.inner.strip() for block in words]


def _is_reply(result: str, at: int) -> bool:
    """Whether the program gives here what the person said: files and pages that it read may have such tags too."""
    before = result[max(0, at - _LONGEST_LINE) : at].rstrip()
    return not before or "provided" in before[before.rfind("\n") + 1 :]


def _blocks(text: str, opening: re.Pattern[str]) -> Iterator[_Block]:
    """What stands in tags that begin a line; tags that do not end are text."""
    endings: dict[str, list[int]] = {}
    for ending in _END.finditer(text):
        endings.setdefault(ending[1], []).append(ending.start())
    at = 0
    while found := opening.search(text, at):
        name, at = found[1], found.end()
        ends = endings.get(name, [])
        place = bisect_left(ends, at)
        if place < len(ends):
            inner, at = text[at : ends[place]], ends[place] + len(name) + 3
            yield _Block(name, found.start(), at, inner)


def _without(text: str, opening: re.Pattern[str]) -> str:
    """The text without what stands in these tags."""
    rest: list[str] = []
    at = 0
    for block in _blocks(text, opening):
        rest.append(text[at : block.begin])
        at = block.end
    return "".join([*rest, text[at:]])


def _called(turn: Turn, tools: Set[str]) -> Turn:
    """An answer with the calls of these tools taken out of its text."""
    text = turn.content
    calls: list[ToolCall] = []
    rest: list[str] = []
    at = 0
    for block in _blocks(text, _CALL):
        if block.name in tools and (arguments := _arguments(block.inner)) is not None:
            calls.append(ToolCall(block.name, arguments))
            rest.append(text[at : block.begin].strip("\n"))
            at = block.end
    if not calls:
        return turn
    said = "\n".join(filter(None, [*rest, text[at:].strip("\n")]))
    return turn._replace(content=said, tool_calls=turn.tool_calls + tuple(calls))


def _arguments(text: str) -> dict[str, JsonValue] | None:
    """The parameters of a call; none where it is written in another way."""
    found: dict[str, JsonValue] = {}
    at = 0
    while parameter := _PARAMETER.match(text, at):
        closing = f"</{parameter[1]}>"
        end = (text.rfind if parameter[1] in _LONG else text.find)(closing, parameter.end())
        if end < 0:
            return None
        found[parameter[1]] = text[parameter.end() : end].strip("\n")
        at = end + len(closing)
    return None if text[at:].strip() else found
