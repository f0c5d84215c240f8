"""Prompts as clients write them, as token ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import Service
from engine.inference.slots import Outline
from engine.tokenizers.base import BOS, Tokenizer

Written = str | list[int] | list[str] | list[list[int]]
"""A text, its token ids, or several of either."""


@dataclass(frozen=True)
class Prompts:
    """Token ids of each prompt; the first ``hidden`` of each are not its writer's but what every text begins with."""

    ids: list[list[int]]
    hidden: int = 0


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
        opening = opening_of(tokenizer, texts)
        return Prompts([[*opening, *ids] for ids in await service.tokens(tokenizer, texts)], len(opening))
    single = [item for item in written if isinstance(item, int)]
    prompts = [single] if single else [item for item in written if isinstance(item, list)]
    for prompt in prompts:
        check_tokens(prompt, outline.vocabulary, param)
    return Prompts(prompts)


def opening_of(tokenizer: Tokenizer, texts: Iterable[str]) -> Sequence[int]:
    """What texts begin with; where that is nothing and a text is empty too, something to begin from."""
    return tokenizer.opening or (() if all(texts) else (tokenizer.special(BOS),))


def check_tokens(tokens: Iterable[int], vocabulary: int, param: str) -> None:
    """Refuse ids that the model does not have.

    Raises:
        ApiError: 400.
    """
    for token in tokens:
        if token >= vocabulary:
            message = f"token {token} does not exist: the vocabulary has {vocabulary}"
            raise ApiError(400, "invalid_token", message, param=param)
