"""Prompts as clients write them, texts and dialogues, as token ids."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from daemon.workers.server.errors import ApiError
from daemon.workers.server.schemas import ChatMessage
from daemon.workers.server.service import Service
from engine.data.conversation import Message, Role
from engine.inference.slots import Outline
from engine.tokenizers.base import BOS, DialogueRefusedError, Tokenizer

Written = str | list[int] | list[str] | list[list[int]]
"""A text, its token ids, or several of either."""

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
        """What their writers wrote."""
        return [ids[hidden:] for ids, hidden in zip(self.ids, self.hidden, strict=True)]


async def encoded(service: Service, outline: Outline, written: Written, param: str) -> Prompts:
    """Texts begin with the token that texts were learned with; ids are taken as they are.

    Raises:
        ApiError: 400, an id is not in the vocabulary.
    """
    tokenizer = outline.tokenizer
    if isinstance(written, str):
        written = [written]
    texts = [item for item in written if isinstance(item, str)]
    if texts:
        openings, ids = [opening_of(tokenizer, text) for text in texts], await service.tokens(tokenizer, texts)
        return Prompts([[*opening, *own] for opening, own in zip(openings, ids, strict=True)], list(map(len, openings)))
    single = [item for item in written if isinstance(item, int)]
    prompts = [single] if single else [item for item in written if isinstance(item, list)]
    for prompt in prompts:
        check_tokens(prompt, outline.vocabulary, param)
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
            message = f"token {token} does not exist: the vocabulary has {vocabulary}"
            raise ApiError(400, "invalid_token", message, param=param)


def turns_of(messages: Iterable[ChatMessage]) -> list[Message]:
    """What a client sent, as dialogues are everywhere else."""
    return [Message(_ROLES[message.role], message.text) for message in messages]


async def prompt_of(tokenizer: Tokenizer, turns: Sequence[Message]) -> list[int]:
    """Token ids after which the assistant's turn begins, worked out beside the event loop.

    Raises:
        ApiError: 400, an imported model's chat template has no form for this dialogue.
    """
    try:
        return await asyncio.to_thread(tokenizer.encode_prompt, turns)
    except DialogueRefusedError as error:
        raise ApiError(400, "dialogue_refused", str(error), param="messages") from error


async def prompt_within(
    tokenizer: Tokenizer, history: Sequence[Message], new: Sequence[Message], room: int
) -> list[int]:
    """As `prompt_of`, with as much of the history as fits: first its system turn, then what was said last."""
    opening = [turn for turn in history[:1] if turn.role == "system"]
    rest = history[len(opening) :]
    prompt = await prompt_of(tokenizer, [*history, *new])
    if len(prompt) <= room:
        return prompt
    starts = [*(place for place, turn in enumerate(rest) if turn.role == "user"), len(rest)]
    low, high = 0, len(starts) - 1
    while low < high:
        middle = (low + high) // 2
        if len(await prompt_of(tokenizer, [*opening, *rest[starts[middle] :], *new])) <= room:
            high = middle
        else:
            low = middle + 1
    return await prompt_of(tokenizer, [*opening, *rest[starts[low] :], *new])
