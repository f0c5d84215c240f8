"""Foreign chat templates: Jinja as `transformers` runs it, in a sandbox, and which characters the assistant said."""

import datetime
import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2
import jinja2.meta
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import JsonValue

from engine.data.records.calls.tools import in_the_form_of_openai
from engine.data.samples import Message, ToolCall
from engine.tokenizers.base import DialogueRefusedError

_GENERATION_TAG = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
"""Marks of what the assistant says, an extension of `transformers`; here it is found by comparing instead."""

RESERVED = frozenset({"messages", "add_generation_prompt", "tools", "documents"})
"""What a template reads that is given with every dialogue."""
Turn = dict[str, JsonValue]
"""A message as a template reads it."""
_PROBE: dict[str, JsonValue] = {"probe": "x"}


@dataclass(frozen=True, slots=True)
class Given:
    """A dialogue as a template is given it.

    Attributes:
        places: which message each turn is; one that only introduces tools is no turn.
        tools: descriptions of the tools that may be called; null where there are none, or the template knows none.
    """

    turns: Sequence[Turn]
    places: Sequence[int]
    tools: JsonValue = None


class ChatTemplate:
    """A template; ``tokens`` are what it may name, such as ``bos_token``.

    Attributes:
        variables: what else it reads, such as ``enable_thinking``.
    """

    def __init__(self, source: str, tokens: dict[str, str]) -> None:
        """Raises `DialogueRefusedError` where the source is not a template."""
        self._tokens = tokens
        self._knows_calls = "tool_calls" in source
        source = _GENERATION_TAG.sub("", source)
        try:
            self._template = _environment().from_string(source)
            read = jinja2.meta.find_undeclared_variables(_environment().parse(source))
        except jinja2.TemplateError as error:
            raise DialogueRefusedError(f"the chat template is broken: {error}") from error
        self._knows_tools = "tools" in read
        self.variables = frozenset(read - _environment().globals.keys() - RESERVED - tokens.keys())

    def forms_of(self, messages: Sequence[Message]) -> list[Given]:
        """Messages as the template reads them; then, where that is something else, in the plain form of tools.

        The plain form is for templates that know tools and refuse these calls, such as for the form of their ids.
        """
        has_tools = any(each.tools or each.tool_calls or each.tool_call_id for each in messages)
        knows_any = self._knows_calls or self._knows_tools
        plain = Given([_turn(_without_ids(message.plain)) for message in messages], range(len(messages)))
        if not has_tools or not knows_any:
            return [plain] if has_tools else [Given([_turn(message) for message in messages], range(len(messages)))]
        return [self._given(messages), plain]

    def _given(self, messages: Sequence[Message]) -> Given:
        """Tools beside the turns, and calls in them, each where the template knows it."""
        turns: list[Turn] = []
        places: list[int] = []
        tools: list[JsonValue] = []
        for place, message in enumerate(messages):
            if self._knows_tools and isinstance(message.tools, list):
                tools += in_the_form_of_openai(message.tools)
                if not message.content:
                    continue
                message = message._replace(tools=None)
            if message.tools or not self._knows_calls:
                message = message.plain
            turns.append(_turn(message, as_text=bool(message.tool_calls) and self._wants_text))
            places.append(place)
        return Given(turns, places, tools or None)

    @functools.cached_property
    def _wants_text(self) -> bool:
        """Whether the template puts arguments of calls together with text, instead of writing an object as JSON."""
        call = ToolCall("probe", _PROBE, "probe0000")
        messages = (Message("user", "x"), Message("assistant", "", (call,)), Message("tool", "x", (), "probe", call.id))
        as_object, as_text = ([_turn(each, as_text=wanted) for each in messages] for wanted in (False, True))
        try:
            return str(_PROBE) in self.render(as_object, answering=False)
        except DialogueRefusedError:
            try:
                self.render(as_text, answering=False)
            except DialogueRefusedError:
                return False
            return True

    def render(
        self,
        turns: Sequence[Turn],
        *,
        answering: bool,
        variables: Mapping[str, JsonValue] | None = None,
        tools: JsonValue = None,
    ) -> str:
        """The text of a dialogue; with ``answering``, up to where the assistant's answer begins.

        Raises:
            DialogueRefusedError: the template says that it has no form for this, or fails.
        """
        given = {**(variables or {}), **self._tokens}
        try:
            return self._template.render(
                given, messages=turns, add_generation_prompt=answering, tools=tools, documents=None
            )
        except Exception as error:  # code of others
            reason = str(error) or type(error).__name__
            raise DialogueRefusedError(f"the model's chat template refuses this dialogue: {reason}") from error

    def render_open(
        self, turns: Sequence[Turn], *, variables: Mapping[str, JsonValue] | None = None, tools: JsonValue = None
    ) -> str:
        """The text of a dialogue up to the end of what is said in its last turn.

        Raises:
            DialogueRefusedError: the template has no form for it, or does not write that turn as it is.
        """
        last = str(turns[-1]["content"])
        said = last.strip()
        if not said:
            return self.render(turns[:-1], answering=True, variables=variables, tools=tools)
        text = self.render(turns, answering=False, variables=variables, tools=tools)
        place = text.rfind(said)
        if place < 0:
            raise DialogueRefusedError("the model's chat template changes the last message: it cannot be continued")
        end = place + len(said)
        tail = last[len(last.rstrip()) :]
        return text[: end + len(tail)] if text.startswith(tail, end) else text[:end]

    def answers(
        self, turns: Sequence[Turn], learned: Sequence[int], tools: JsonValue = None
    ) -> tuple[str, list[tuple[int, int]]]:
        """The text of a dialogue, and where in it the assistant says the turns with the numbers ``learned``.

        A turn counts from where an answer would begin; one that the template writes otherwise once others follow is
        not found, except the last.

        Raises:
            DialogueRefusedError: the template has no form for it.
        """
        whole = self.render(turns, answering=False, tools=tools)
        found = []
        for place in learned:
            before = self.render(turns[:place], answering=True, tools=tools)
            up_to = self.render(turns[: place + 1], answering=False, tools=tools)
            if up_to.startswith(before) and whole.startswith(up_to):
                found.append((len(before), len(up_to)))
        return whole, found


@functools.cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    return environment


def _without_ids(message: Message) -> Message:
    return message._replace(name="", tool_call_id="") if message.name or message.tool_call_id else message


def _turn(message: Message, *, as_text: bool = False) -> Turn:
    """A message as a template reads it; with ``as_text``, arguments of calls are JSON in a string."""
    turn: Turn = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [_call(call, as_text=as_text) for call in message.tool_calls]
    if message.name:
        turn["name"] = message.name
    if message.tool_call_id:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _call(call: ToolCall, *, as_text: bool) -> JsonValue:
    arguments = call.arguments
    if as_text and not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    function: JsonValue = {"name": call.name, "arguments": arguments}
    return {**({"id": call.id} if call.id else {}), "type": "function", "function": function}


def _to_json(
    value: JsonValue,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As the filter of `transformers`, which does not escape what HTML would."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return datetime.datetime.now().astimezone().strftime(form)
