"""How a conversation becomes tokens, and which of them are learned.

thord's own chat template is ``<|bos|>``, then for each turn ``<|role|> content <|end|>``; a foreign tokenizer has its
own. Plain text is ``<|bos|> text <|eos|>``. In a dialogue the assistant's content and what ends it are supervised,
except in turns of weight 0; in plain text everything is.

Tools and calls to them are written as the chat template writes them. thord's own, and templates that know none, get
the plain form: the tools as JSON in a system turn, after a line ``Tools:``; each call as ``{"name", "arguments"}`` on a
line of its own, after what is said; a result as a turn of the tool.
"""

import logging
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from engine.data.encoded import Encoded
from engine.data.samples import Conversation, Dialogue, Text
from engine.tokenizers.base import BOS, EOS, DialogueRefusedError, Tokenizer

_logger = logging.getLogger(__name__)

_MOST_AT_ONCE, _CHARACTERS_AT_ONCE = 512, 1 << 18
"""Conversations that are encoded together: enough for all processors, little for the memory."""


def encode_conversations(tokenizer: Tokenizer, conversations: Iterable[tuple[Conversation, int]]) -> Iterator[Encoded]:
    """Tokens of whole conversations; in each, assistant turns before the one with the number given are context only.

    A dialogue for which a foreign chat template has no form gives no tokens: it teaches nothing. Many are encoded at
    once, which gives the same tokens, but never so many that memory would depend on how many there are.
    """
    for batch in _batches(conversations):
        dialogues = [(one.messages, learn_from) for one, learn_from in batch if isinstance(one, Dialogue)]
        of_dialogues = iter(tokenizer.encode_dialogues(dialogues))
        of_texts = iter(tokenizer.encode_batch([one.text for one, _ in batch if isinstance(one, Text)]))
        for one, _ in batch:
            if isinstance(one, Dialogue):
                yield _unless_refused(next(of_dialogues))
            else:
                yield _plain(tokenizer, next(of_texts))


def _batches(conversations: Iterable[tuple[Conversation, int]]) -> Iterator[list[tuple[Conversation, int]]]:
    batch: list[tuple[Conversation, int]] = []
    characters = 0
    for conversation, learn_from in conversations:
        batch.append((conversation, learn_from))
        characters += _characters(conversation)
        if len(batch) == _MOST_AT_ONCE or characters >= _CHARACTERS_AT_ONCE:
            yield batch
            batch, characters = [], 0
    yield batch


def _characters(conversation: Conversation) -> int:
    """About how long it is: tools and calls to them do not count."""
    if isinstance(conversation, Text):
        return len(conversation.text)
    return sum([len(message.content) for message in conversation.messages])


def _unless_refused(encoded: Encoded | DialogueRefusedError) -> Encoded:
    if isinstance(encoded, DialogueRefusedError):
        _logger.warning("a conversation is left out: %s", encoded)
        return Encoded(np.empty(0, np.int32), np.empty(0, np.bool_))
    return encoded


def _plain(tokenizer: Tokenizer, text: NDArray[np.int32]) -> Encoded:
    opening, end = np.array(tokenizer.opening, np.int32), np.array([tokenizer.special(EOS)], np.int32)
    ids = np.concatenate([opening, text, end])
    supervised = np.ones(len(ids), np.bool_)
    supervised[0] = False
    return Encoded(ids, supervised)


def encode_text(tokenizer: Tokenizer, text: str) -> list[int]:
    """Tokens after which a text goes on; at least one."""
    return [*tokenizer.opening, *tokenizer.encode(text)] or [tokenizer.special(BOS)]
