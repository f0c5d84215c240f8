"""How a conversation becomes tokens, and which of them are learned.

thord's own chat template is ``<|bos|>``, then for each turn ``<|role|> content <|end|>``; a foreign tokenizer has its
own. Plain text is ``<|bos|> text <|eos|>``. In a dialogue the assistant's content and what ends it are supervised, in
plain text everything is.
"""

import logging
from collections.abc import Sequence

from engine.data.conversation import Conversation, Message, Role
from engine.tokenizers.base import ASSISTANT, BOS, EOS, SYSTEM, TOOL, USER, DialogueRefusedError, Encoded, Tokenizer

_logger = logging.getLogger(__name__)

ROLE_TOKENS: dict[Role, str] = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT, "tool": TOOL}


def encode_conversation(tokenizer: Tokenizer, conversation: Conversation, learn_from: int = 0) -> Encoded:
    """Tokens of a whole conversation; assistant turns before turn ``learn_from`` are context only.

    A dialogue for which a foreign chat template has no form is no tokens at all: it teaches nothing.
    """
    if conversation.messages:
        try:
            return tokenizer.encode_dialogue(conversation.messages, learn_from)
        except DialogueRefusedError as error:
            _logger.warning("a conversation is left out: %s", error)
            return Encoded([], [])
    ids = [*tokenizer.opening, *tokenizer.encode(conversation.text), tokenizer.special(EOS)]
    return Encoded(ids, [False] + [True] * (len(ids) - 1))


def encode_prompt(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[int]:
    """Tokens after which the assistant's answer begins; the answer ends with a special token.

    Raises:
        DialogueRefusedError: the tokenizer's chat template has no form for it.
    """
    return tokenizer.encode_prompt(messages)


def encode_text(tokenizer: Tokenizer, text: str) -> list[int]:
    """Tokens after which a text goes on; at least one."""
    return [*tokenizer.opening, *tokenizer.encode(text)] or [tokenizer.special(BOS)]


__all__ = ["ROLE_TOKENS", "Encoded", "encode_conversation", "encode_prompt", "encode_text"]
