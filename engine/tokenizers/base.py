"""What a tokenizer is: one Protocol, and the special tokens that thord's own ones reserve."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from engine.data.encoded import Encoded
from engine.data.samples import Message
from engine.tokenizers.call_form import CallForm

PAD, BOS, EOS = "<|pad|>", "<|bos|>", "<|eos|>"
SYSTEM, USER, ASSISTANT, TOOL, END = "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"
SPECIAL_TOKENS = (PAD, BOS, EOS, SYSTEM, USER, ASSISTANT, TOOL, END)
"""In the order of their ids, 0 to 7. Text that happens to spell one is encoded as ordinary bytes."""
FILE = "tokenizer.json"


Turns = tuple[Sequence[Message], int]
"""The turns of a dialogue, and the first of them from which on the assistant's are supervised."""


@dataclass(frozen=True, slots=True)
class PromptForm:
    """How a dialogue becomes a prompt.

    Attributes:
        opens_answer: the assistant's turn begins at the end.
        continues: the last turn is left open instead, so that what is generated goes on with it.
        variables: what a foreign chat template is given besides, by the names in `Tokenizer.template_variables`.
    """

    opens_answer: bool = True
    continues: bool = False
    variables: Mapping[str, JsonValue] = field(default_factory=dict)


ANSWERING = PromptForm()


class DialogueRefusedError(ValueError):
    """A dialogue that the tokenizer's chat template has no form for; the message says why."""


class Tokenizer(Protocol):
    """Text to ids and back. ``decode(encode(text)) == text`` for every text without lone surrogates."""

    @property
    def kind(self) -> str:
        """Its name in `engine.tokenizers.registry`."""
        ...

    @property
    def vocabulary(self) -> int:
        """Ids are below it."""
        ...

    @property
    def opening(self) -> tuple[int, ...]:
        """What every text begins with: the id of `BOS`, or nothing where a foreign tokenizer has none."""
        ...

    @property
    def specials(self) -> Mapping[int, str]:
        """Ids that do not stand for text, and their names. Each of them ends an answer."""
        ...

    @property
    def chat_template(self) -> str | None:
        """The form of a dialogue in Jinja, as `transformers` reads it; null where a foreign tokenizer has none."""
        ...

    @property
    def call_form(self) -> CallForm:
        """How calls to tools stand in an answer."""
        ...

    @property
    def template_variables(self) -> frozenset[str]:
        """What `PromptForm.variables` may set; empty for thord's own template."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of the text; special tokens are never among them."""
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """`encode` of many texts, on all processors; how they are put together does not matter."""
        ...

    def encode_dialogues(self, dialogues: Sequence[Turns]) -> list[Encoded | DialogueRefusedError]:
        """Whole dialogues in the tokenizer's chat template; the error for one that the template has no form for."""
        ...

    def encode_prompt(self, messages: Sequence[Message], form: PromptForm = ANSWERING) -> list[int]:
        """A dialogue after which the assistant's answer begins; the answer ends with a special token.

        Tools and calls are written as the template writes them; one that has no form for them gets `Message.plain`.

        Raises:
            DialogueRefusedError: the template has no form for it.
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ordinary ids; special ones are left out, broken UTF-8 becomes U+FFFD."""
        ...

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """The bytes of ordinary ids: what a stream of tokens needs, since a character may span several.

        Raises:
            IndexError: an id is not in the vocabulary.
        """
        ...

    def special(self, token: str) -> int:
        """The id that stands for one of `SPECIAL_TOKENS`; a foreign tokenizer has `PAD`, `BOS`, `EOS` and `END` only.

        Raises:
            KeyError: it has none.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``, and what else loading needs."""
        ...
