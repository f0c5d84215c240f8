"""Sample answers: what a version says, greedily, to a few prompts; for people to look at, never judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.data.samples import Conversation, Message, Text
from engine.models.base import LanguageModel
from engine.tokenizers.base import Tokenizer
from engine.tokenizers.encode import encode_text

FROM_HELD_OUT = 3
"""Prompts taken from the held-out set where the settings name none."""

_OPENING_CHARACTERS = 160


@dataclass(frozen=True)
class Prompt:
    """What to answer: turns of a dialogue, or the opening of a plain text. ``expected`` is what a person wrote."""

    messages: tuple[Message, ...] = ()
    text: str = ""
    expected: str | None = None

    @property
    def shown(self) -> str:
        """The last turn, or the opening."""
        return self.messages[-1].content if self.messages else self.text


def prompts(configured: Sequence[str], held_out: Sequence[Conversation]) -> list[Prompt]:
    """The configured prompts, else the openings of the first held-out conversations that have an answer."""
    if configured:
        return [Prompt(messages=(Message("user", text),)) for text in configured]
    openings = (_opening(conversation) for conversation in held_out)
    return [prompt for prompt in openings if prompt is not None][:FROM_HELD_OUT]


def answer(model: LanguageModel, tokenizer: Tokenizer, prompt: Prompt, tokens: int) -> str:
    """The most probable continuation, token by token, of at most ``tokens``; it ends at any special token.

    A prompt that does not fit the context loses its beginning.
    """
    ids = tokenizer.encode_prompt(prompt.messages) if prompt.messages else encode_text(tokenizer, prompt.text)
    tokens = min(tokens, model.context - 1)
    ids = ids[-(model.context - tokens) :]
    return tokenizer.decode(_continue(model, ids, tokens, set(tokenizer.specials)))


def _opening(conversation: Conversation) -> Prompt | None:
    if isinstance(conversation, Text):
        cut = min(_OPENING_CHARACTERS, len(conversation.text) // 2)
        return Prompt(text=conversation.text[:cut], expected=conversation.text[cut:][:_OPENING_CHARACTERS])
    for turn, message in enumerate(conversation.messages):
        if message.is_supervised and turn > 0:
            return Prompt(messages=conversation.messages[:turn], expected=message.content)
    return None


def _continue(model: LanguageModel, ids: list[int], tokens: int, stop: set[int]) -> list[int]:
    device = next(model.parameters()).device
    cache = model.make_cache(1, len(ids) + tokens)
    row_B = torch.zeros(1, dtype=torch.long, device=device)
    chosen: list[int] = []
    written, unread = 0, ids
    with torch.inference_mode():
        while len(chosen) < tokens:
            tokens_BT = torch.tensor([unread], device=device)
            hidden_BTD = model.step(tokens_BT, cache, row_B, torch.tensor([written], device=device))
            best = int(model.logits(hidden_BTD[:, -1]).argmax())
            if best in stop:
                break
            chosen.append(best)
            written, unread = written + len(unread), [best]
    return chosen
