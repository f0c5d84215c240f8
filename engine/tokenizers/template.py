"""Foreign chat templates: Jinja as `transformers` runs it, in a sandbox, and which characters the assistant said."""

import datetime
import functools
import json
import re
from collections.abc import Sequence

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import JsonValue

from engine.data.conversation import Message
from engine.tokenizers.base import DialogueRefusedError

_GENERATION_TAG = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
"""Marks of what the assistant says, an extension of `transformers`; here it is found by comparing instead."""


class ChatTemplate:
    """A template; ``tokens`` are what it may name, such as ``bos_token``."""

    def __init__(self, source: str, tokens: dict[str, str]) -> None:
        """Raises `DialogueRefusedError` where the source is no template."""
        self._tokens = tokens
        try:
            self._template = _environment().from_string(_GENERATION_TAG.sub("", source))
        except jinja2.TemplateError as error:
            raise DialogueRefusedError(f"the chat template is broken: {error}") from error

    def render(self, messages: Sequence[Message], *, answering: bool) -> str:
        """The text of a dialogue; with ``answering``, up to where the assistant's answer begins.

        Raises:
            DialogueRefusedError: the template says that it has no form for this, or fails.
        """
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._template.render(
                messages=turns, add_generation_prompt=answering, tools=None, documents=None, **self._tokens
            )
        except Exception as error:  # code of others
            reason = str(error) or type(error).__name__
            raise DialogueRefusedError(f"the model's chat template refuses this dialogue: {reason}") from error

    def answers(self, messages: Sequence[Message], learn_from: int) -> tuple[str, list[tuple[int, int]]]:
        """The text of a dialogue and the stretches of it that the assistant says, from turn ``learn_from`` on.

        A turn counts from where an answer would begin; one that the template writes otherwise once others follow is
        not found, except the last.

        Raises:
            DialogueRefusedError: the template has no form for it.
        """
        turns = [turn for turn, message in enumerate(messages) if message.role == "assistant" and turn >= learn_from]
        whole = self.render(messages, answering=False)
        found = []
        for turn in turns:
            before = self.render(messages[:turn], answering=True)
            up_to = self.render(messages[: turn + 1], answering=False)
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


def _to_json(value: JsonValue, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return datetime.datetime.now().astimezone().strftime(form)
