"""A sample as a model sees it: its tokens as text, with special tokens by name and what is learned set apart."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from engine.data.samples import Conversation
from engine.tokenizers.base import Tokenizer
from engine.tokenizers.encode import encode_conversations


@dataclass(frozen=True, slots=True)
class Run:
    """Tokens in a row that are all learned (``supervised``), or are all context only."""

    text: str
    supervised: bool


def render(tokenizer: Tokenizer, conversation: Conversation, most_tokens: int) -> list[Run]:
    """The first ``most_tokens`` tokens of a conversation, as a run of training encodes it.

    Nothing where the tokenizer's chat template has no form for it.
    """
    (encoded,) = encode_conversations(tokenizer, [(conversation, 0)])
    ids: list[int] = encoded.ids[:most_tokens].tolist()
    supervised: list[bool] = encoded.supervised[:most_tokens].tolist()
    runs = itertools.groupby(zip(supervised, ids, strict=True), key=lambda token: token[0])
    return [Run("".join(_texts(tokenizer, [number for _, number in run])), learned) for learned, run in runs]


def _texts(tokenizer: Tokenizer, ids: list[int]) -> Iterator[str]:
    for is_special, group in itertools.groupby(ids, key=tokenizer.specials.__contains__):
        if is_special:
            yield from (tokenizer.specials[number] for number in group)
        else:
            yield tokenizer.decode(list(group))
