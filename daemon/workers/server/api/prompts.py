"""Prompts as clients write them, texts and dialogues, as token ids."""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from daemon.workers.server.api.chat_schemas import ChatForm, ChatMessage, FunctionCall
from daemon.workers.server.api.schemas import NO_LIMIT
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import InferenceService
from engine.data.samples import Message, Role, ToolCall
from engine.inference.versions.loaded_model import PromptSpec
from engine.tokenizers.base import ANSWERING, BOS, DialogueRefusedError, PromptForm, Tokenizer

Written = str | list[int] | list[str] | list[list[int]]
"""A text, its token ids, or several of either."""
RESERVED = frozenset({"messages", "tools", "documents", "add_generation_prompt", "continue_final_message"})
"""What ``chat_template_kwargs`` must not set."""
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


@dataclass(frozen=True)
class Prompts:
    """Token ids of each prompt; as many as ``hidden`` says are not its writer's but what texts begin with."""

    ids: list[list[int]]
    hidden: list[int]

    @property
    def shown(self) -> list[list[int]]:
        """Token ids of what the writers of the prompts wrote."""
        return [ids[hidden:] for ids, hidden in zip(self.ids, self.hidden, strict=True)]

    def truncated(self, asked: int | None, room: int) -> "Prompts":
        """Truncate each prompt as the function `truncated` does."""
        kept = [truncated(ids, asked, room) for ids in self.ids]
        gone = (len(before) - len(after) for before, after in zip(self.ids, kept, strict=True))
        return Prompts(kept, [max(hidden - cut, 0) for hidden, cut in zip(self.hidden, gone, strict=True)])


async def encoded(
    service: InferenceService, spec: PromptSpec, written: Written, param: str, *, opened: bool = True
) -> Prompts:
    """Texts begin with the token that texts were learned with, if ``opened``; ids are taken as they are.

    Raises:
        ApiError: 400, an id is not in the vocabulary.
    """
    tokenizer = spec.tokenizer
    if isinstance(written, str):
        written = [written]
    texts = [item for item in written if isinstance(item, str)]
    if texts:
        openings = [opening_of(tokenizer, text) if opened or not text else () for text in texts]
        ids = await service.tokens(tokenizer, texts)
        return Prompts([[*opening, *own] for opening, own in zip(openings, ids, strict=True)], list(map(len, openings)))
    single = [item for item in written if isinstance(item, int)]
    prompts = [single] if single else [item for item in written if isinstance(item, list)]
    for prompt in prompts:
        check_tokens(prompt, spec.vocabulary, param)
    return Prompts(prompts, [0] * len(prompts))


def opening_of(tokenizer: Tokenizer, text: str) -> Sequence[int]:
    """What a text begins with; where that is nothing and the text is empty too, something to begin from."""
    return tokenizer.opening or (() if text else (tokenizer.special(BOS),))


def check_tokens(tokens: Iterable[int], vocabulary: int, param: str) -> None:
    """Refuse ids that the model does not have.

    Raises:
        ApiError: 400.
    """
    for token in tokens:
        if token >= vocabulary:
            message = f"{param}: token {token} does not exist: the vocabulary has {vocabulary}"
            raise ApiError(400, "invalid_token", message, param=param)


def turns_of(messages: Iterable[ChatMessage]) -> list[Message]:
    """What a client sent, as dialogues are everywhere else."""
    return [
        Message(
            _ROLES[message.role],
            message.text,
            tuple(_call(call.function, call.id or "") for call in message.calls),
            message.name or "",
            message.tool_call_id or "",
        )
        for message in messages
    ]


def _call(function: FunctionCall, name: str) -> ToolCall:
    """Arguments are sent as a string of JSON, and templates want what it says. What is not JSON stays a string."""
    arguments = function.arguments
    if isinstance(arguments, str):
        with contextlib.suppress(ValueError, RecursionError):
            arguments = json.loads(arguments)
    return ToolCall(function.name, arguments, name)


def form_of(body: ChatForm, tokenizer: Tokenizer, ignored: list[str]) -> PromptForm:
    """How the client wants its messages written. Names of variables that no template reads go to ``ignored``.

    Raises:
        ApiError: 400, a variable is what every template is given.
    """
    variables = body.chat_template_kwargs or {}
    known = tokenizer.template_variables
    for name in variables:
        if name in RESERVED:
            message = f"chat_template_kwargs.{name}: it is set by the request's own fields"
            raise ApiError(400, "invalid_value", message, param=f"chat_template_kwargs.{name}")
    ignored += [f"chat_template_kwargs.{name}" for name in variables if name not in known]
    return PromptForm(
        opens_answer=body.add_generation_prompt is not False,
        continues=bool(body.continue_final_message),
        variables={name: value for name, value in variables.items() if name in known},
    )


def truncated(prompt: list[int], asked: int | None, room: int) -> list[int]:
    """The last tokens of a prompt, as many as ``asked`` (`NO_LIMIT`: as ``room`` allows)."""
    if asked is None:
        return prompt
    kept = room if asked == NO_LIMIT else asked
    return prompt[max(len(prompt) - kept, 0) :]


async def prompt_of(tokenizer: Tokenizer, turns: Sequence[Message], form: PromptForm = ANSWERING) -> list[int]:
    """Token ids after which the assistant's turn begins, worked out beside the event loop.

    Raises:
        ApiError: 400, an imported model's chat template has no form for this dialogue.
    """
    try:
        prompt = await asyncio.to_thread(tokenizer.encode_prompt, turns, form)
    except DialogueRefusedError as error:
        raise ApiError(400, "dialogue_refused", str(error), param="messages") from error
    if not prompt:
        raise ApiError(400, "dialogue_refused", "the model's chat template writes nothing for this", param="messages")
    return prompt


async def prompt_within(
    tokenizer: Tokenizer, history: Sequence[Message], new: Sequence[Message], room: int, form: PromptForm = ANSWERING
) -> list[int]:
    """As `prompt_of`, with as much of the history as fits: first its system turn, then what was said last."""
    opening = [turn for turn in history[:1] if turn.role == "system"]
    rest = history[len(opening) :]
    prompt = await prompt_of(tokenizer, [*history, *new], form)
    if len(prompt) <= room:
        return prompt
    starts = [*(place for place, turn in enumerate(rest) if turn.role == "user"), len(rest)]
    low, high = 0, len(starts) - 1
    while low < high:
        middle = (low + high) // 2
        if len(await prompt_of(tokenizer, [*opening, *rest[starts[middle] :], *new], form)) <= room:
            high = middle
        else:
            low = middle + 1
    return await prompt_of(tokenizer, [*opening, *rest[starts[low] :], *new], form)
