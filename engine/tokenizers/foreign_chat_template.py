"""Foreign chat templates: Jinja as `transformers` runs it, in a sandbox, and which characters the assistant said."""

import datetime
import functools
import json
import re
from collections.abc import Mapping, Sequence

import jinja2
import jinja2.meta
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import JsonValue

from engine.data.samples import Message
from engine.tokenizers.base import DialogueRefusedError

_GENERATION_TAG = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
"""Marks of what the assistant says, an extension of `transformers`; here it is found by comparing instead."""

RESERVED = frozenset({"messages", "add_generation_prompt", "tools", "documents"})
"""What a template reads that is given with every dialogue."""
Turn = dict[str, JsonValue]
"""A message as a template reads it."""


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
        self.variables = frozenset(read - _environment().globals.keys() - RESERVED - tokens.keys())

    def turns(self, messages: Sequence[Message]) -> list[Turn]:
        """Messages as the template reads them; calls to tools in plain form where it has none for them."""
        return [_turn(message if self._knows_calls else message.plain) for message in messages]

    def render(
        self, turns: Sequence[Turn], *, answering: bool, variables: Mapping[str, JsonValue] | None = None
    ) -> str:
        """The text of a dialogue; with ``answering``, up to where the assistant's answer begins.

        Raises:
            DialogueRefusedError: the template says that it has no form for this, or fails.
        """
        given = {**(variables or {}), **self._tokens}
        try:
            return self._template.render(
                given, messages=turns, add_generation_prompt=answering, tools=None, documents=None
            )
        except Exception as error:  # code of others
            reason = str(error) or type(error).__name__
            raise DialogueRefusedError(f"the model's chat template refuses this dialogue: {reason}") from error

    def render_open(self, turns: Sequence[Turn], *, variables: Mapping[str, JsonValue] | None = None) -> str:
        """The text of a dialogue up to the end of what is said in its last turn.

        Raises:
            DialogueRefusedError: the template has no form for it, or does not write that turn as it is.
        """
        last = str(turns[-1]["content"])
        said = last.strip()
        if not said:
            return self.render(turns[:-1], answering=True, variables=variables)
        text = self.render(turns, answering=False, variables=variables)
        place = text.rfind(said)
        if place < 0:
            raise DialogueRefusedError("the model's chat template changes the last message: it cannot be continued")
        end = place + len(said)
        tail = last[len(last.rstrip()) :]
        return text[: end + len(tail)] if text.startswith(tail, end) else text[:end]

    def answers(self, turns: Sequence[Turn], learned: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
        """The text of a dialogue, and where in it the assistant says the turns with the numbers ``learned``.

        A turn counts from where an answer would begin; one that the template writes otherwise once others follow is
        not found, except the last.

        Raises:
            DialogueRefusedError: the template has no form for it.
        """
        whole = self.render(turns, answering=False)
        found = []
        for place in learned:
            before = self.render(turns[:place], answering=True)
            up_to = self.render(turns[: place + 1], answering=False)
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


def _turn(message: Message) -> Turn:
    turn: Turn = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.name:
        turn["name"] = message.name
    if message.tool_call_id:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _to_json(value: JsonValue, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return datetime.datetime.now().astimezone().strftime(form)
