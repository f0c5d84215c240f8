"""The chat template: how a conversation becomes tokens, and which of them are learned.

``<|bos|>`` then for each turn ``<|role|> content <|end|>``; plain text is ``<|bos|> text <|eos|>``. In a dialogue the
assistant's content and its ``<|end|>`` are supervised, in plain text everything is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.data.conversation import Conversation, Message, Role
from engine.tokenizers.base import ASSISTANT, BOS, END, EOS, SYSTEM, TOOL, USER, Tokenizer

ROLE_TOKENS: dict[Role, str] = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT, "tool": TOOL}


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one document; ``supervised[i]`` says whether predicting ``ids[i]`` is learned. Equal lengths."""

    ids: list[int]
    supervised: list[bool]


def encode_conversation(tokenizer: Tokenizer, conversation: Conversation, learn_from: int = 0) -> Encoded:
    """Tokens of a whole conversation; assistant turns before turn ``learn_from`` are context only."""
    if not conversation.messages:
        ids = [tokenizer.special(BOS), *tokenizer.encode(conversation.text), tokenizer.special(EOS)]
        return Encoded(ids, [False] + [True] * (len(ids) - 1))
    ids, supervised = [tokenizer.special(BOS)], [False]
    end = tokenizer.special(END)
    for turn, message in enumerate(conversation.messages):
        body = [*tokenizer.encode(message.content), end]
        learned = message.role == "assistant" and turn >= learn_from
        ids += [tokenizer.special(ROLE_TOKENS[message.role]), *body]
        supervised += [False] + [learned] * len(body)
    return Encoded(ids, supervised)


def encode_prompt(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[int]:
    """Tokens after which the assistant's answer begins; the answer ends with ``<|end|>``."""
    encoded = encode_conversation(tokenizer, Conversation(messages=tuple(messages)))
    return [*encoded.ids, tokenizer.special(ASSISTANT)]
