"""The form in which a foreign chat template writes calls: found by having it write calls to a tool that nobody has.

A template that writes them otherwise than `CallForm` can say (as code, as XML, behind a special token) is served in
thord's own form.
"""

import re
from collections.abc import Collection

from pydantic import JsonValue

from engine.data.samples import Message, ToolCall
from engine.tokenizers.base import DialogueRefusedError
from engine.tokenizers.call_form import PLAIN, CallForm
from engine.tokenizers.templates.foreign_chat_template import ChatTemplate

_ASKED = Message("user", "x")
_CALL = ToolCall("probe_tool", {"probe": "x"}, "probe0000")
_TOOL: JsonValue = [{"type": "function", "function": {"name": "probe_tool", "description": "x", "parameters": {}}}]
_WRITTEN = re.compile(r'\{"name": "probe_tool", "(?P<key>arguments|parameters)": \{"probe": "x"\}\}')


def form_of(template: ChatTemplate, specials: Collection[str]) -> CallForm:
    """The form in which a template writes calls; `PLAIN` where it knows none, or is none of these forms."""
    one = _written(template, specials, 1)
    found = _WRITTEN.search(one)
    if found is None:
        return PLAIN
    opens, closes = one[: found.start()].lstrip(), one[found.end() :].rstrip()
    if any(special in opens for special in specials):
        return PLAIN
    two = _written(template, specials, 2)
    several = [each.span() for each in _WRITTEN.finditer(two)]
    between = None
    if len(several) == 2:
        joint = two[several[0][1] : several[1][0]]
        if joint.startswith(closes) and joint.endswith(opens) and len(joint) >= len(closes) + len(opens):
            between = joint[len(closes) : len(joint) - len(opens)]
    return CallForm(opens, closes, between, found["key"])


def _written(template: ChatTemplate, specials: Collection[str], calls: int) -> str:
    """What a template writes of an answer with so many calls, up to the special token that ends it."""
    made = tuple(ToolCall(_CALL.name, _CALL.arguments, f"probe000{number}") for number in range(calls))
    asked = [Message("system", "x", tools=_TOOL), _ASKED]
    try:
        before, after = template.forms_of(asked)[0], template.forms_of([*asked, Message("assistant", "", made)])[0]
        opening = template.render(before.turns, answering=True, tools=before.tools)
        whole = template.render(after.turns, answering=False, tools=after.tools)
    except DialogueRefusedError:
        return ""
    if not whole.startswith(opening):
        return ""
    answer = whole[len(opening) :]
    last = max((match.end() for match in _WRITTEN.finditer(answer)), default=0)
    ends = (answer.find(special, last) for special in specials if special)
    return answer[: min((place for place in ends if place >= 0), default=len(answer))]
