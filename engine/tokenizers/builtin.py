"""What thord's own tokenizers have in common: ids 0 to 7 are `SPECIAL_TOKENS`, every other id stands for fixed bytes.

The work is done by Hugging Face ``tokenizers``, and ``tokenizer.json`` is read by ``transformers`` too.
"""

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import processors

from engine.artifacts import ArtifactError
from engine.data.encoded import Encoded
from engine.data.samples import Message
from engine.tokenizers.base import (
    ANSWERING,
    ASSISTANT,
    BOS,
    END,
    FILE,
    SPECIAL_TOKENS,
    DialogueRefusedError,
    PromptForm,
    Turns,
)
from engine.tokenizers.call_form import PLAIN, CallForm
from engine.tokenizers.templates.chat_template import CHAT_TEMPLATE, ROLE_TOKENS

BYTES = 256
_ID_BYTES = 4
_CONTEXT, _LEARNED = b"\0", b"\1"


class BuiltinTokenizer:
    """Implements `engine.tokenizers.base.Tokenizer`."""

    def __init__(self, kind: str, source: str, table: Sequence[bytes]) -> None:
        """``source`` is the text of ``tokenizer.json``, kept because what the library writes differs in last digits.

        ``table`` says what bytes each id stands for; none for special ones.
        """
        self.kind = kind
        self._source = source
        self._inner = tokenizers.Tokenizer.from_str(source)
        self._inner.encode_special_tokens = True  # a text that spells a special token gets the ids of its bytes
        self._bytes = list(table)
        self._special = {token: number for number, token in enumerate(SPECIAL_TOKENS)}
        self._packed_special = {token: array("i", [number]).tobytes() for token, number in self._special.items()}
        self.vocabulary = len(self._bytes)
        self.opening = (self._special[BOS],)
        self.specials = dict(enumerate(SPECIAL_TOKENS))

    @property
    def chat_template(self) -> str:
        """As the Protocol."""
        return CHAT_TEMPLATE

    @property
    def call_form(self) -> CallForm:
        """As the Protocol."""
        return PLAIN

    @property
    def template_variables(self) -> frozenset[str]:
        """As the Protocol."""
        return frozenset()

    def encode(self, text: str) -> list[int]:
        """As the Protocol."""
        ids: list[int] = _unpacked(self.packed([text])[0]).tolist()
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """As the Protocol."""
        return [_unpacked(ids) for ids in self.packed(texts)]

    def encode_dialogues(self, dialogues: Sequence[Turns]) -> list[Encoded | DialogueRefusedError]:
        """``<|bos|>``, then for each turn ``<|role|> content <|end|>``; there is a form for every dialogue."""
        dialogues = [([message.plain for message in messages], learn_from) for messages, learn_from in dialogues]
        contents = iter(self.packed([message.content for messages, _ in dialogues for message in messages]))
        return [self._dialogue(messages, learn_from, contents) for messages, learn_from in dialogues]

    def encode_prompt(self, messages: Sequence[Message], form: PromptForm = ANSWERING) -> list[int]:
        """A dialogue and ``<|assistant|>``; or the dialogue without its last ``<|end|>``, where that turn goes on."""
        messages = [message.plain for message in messages]
        contents = iter(self.packed([message.content for message in messages]))
        ids: list[int] = self._dialogue(messages, len(messages), contents).ids.tolist()
        if form.continues:
            return ids[:-1]
        return [*ids, self._special[ASSISTANT]] if form.opens_answer else ids

    def packed(self, texts: Sequence[str]) -> list[bytes]:
        """The ids of each text, 32 bits each: what is cheapest to put together."""
        encodings = self._inner.encode_batch_fast(texts, add_special_tokens=False)
        return [array("i", encoding.ids).tobytes() for encoding in encodings]

    def _dialogue(self, messages: Sequence[Message], learn_from: int, contents: Iterator[bytes]) -> Encoded:
        """``contents`` are the ids of the turns, of which it takes as many as there are messages."""
        packed = self._packed_special
        ids, supervised = [packed[BOS]], [_CONTEXT]
        for turn, (message, content) in enumerate(zip(messages, contents, strict=False)):
            ids += (packed[ROLE_TOKENS[message.role]], content, packed[END])
            flag = _LEARNED if message.is_supervised and turn >= learn_from else _CONTEXT
            supervised += (_CONTEXT, flag * (len(content) // _ID_BYTES + 1))
        return Encoded(_unpacked(b"".join(ids)), np.frombuffer(b"".join(supervised), np.bool_))

    def decode(self, ids: Sequence[int]) -> str:
        """As the Protocol."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """As the Protocol."""
        return b"".join(self._bytes[number] for number in ids)

    def special(self, token: str) -> int:
        """As the Protocol."""
        return self._special[token]

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``."""
        (folder / FILE).write_text(self._source, encoding="utf-8")


def read(
    folder: Path,
    table_of: Callable[[list[str]], Sequence[bytes]],
    make: Callable[[str, Sequence[bytes]], BuiltinTokenizer],
) -> BuiltinTokenizer:
    """The tokenizer in ``tokenizer.json``; ``table_of`` tells from the pieces by id which bytes each stands for.

    Raises:
        ArtifactError: it is missing, damaged, or no tokenizer of thord's.
    """
    file = folder / FILE
    source = read_source(folder)
    inner = tokenizers.Tokenizer.from_str(source)
    known = inner.get_vocab()
    if [known.get(token) for token in SPECIAL_TOKENS] != list(range(len(SPECIAL_TOKENS))):
        raise ArtifactError(f"{file}: the ids 0 to {len(SPECIAL_TOKENS) - 1} are not thord's special tokens")
    if len(known) < len(SPECIAL_TOKENS) + BYTES or max(known.values()) != len(known) - 1:
        raise ArtifactError(f"{file}: the vocabulary lacks bytes or has gaps")
    try:
        return make(source, table_of(sorted(known, key=known.__getitem__)))
    except KeyError as error:
        raise ArtifactError(f"{file}: {error} does not stand for a byte") from error


def read_source(folder: Path) -> str:
    """The text of ``tokenizer.json``, which the library can read.

    Truncation and padding are taken out: whoever saved it may have set them for a batch, and texts are whole here.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    file = folder / FILE
    try:
        source = file.read_text(encoding="utf-8")
        inner = tokenizers.Tokenizer.from_str(source)
        if inner.truncation is None and inner.padding is None:
            return source
        return json.dumps({**json.loads(source), "truncation": None, "padding": None}, ensure_ascii=False)
    except Exception as error:  # the library raises bare Exception for bad JSON
        raise ArtifactError(f"{file}: {error}") from error


def _unpacked(ids: bytes) -> NDArray[np.int32]:
    return np.frombuffer(ids, np.int32)


def beginning_with_bos() -> processors.TemplateProcessing:
    """Has readers of ``tokenizer.json`` begin texts as thord does; thord itself does not ask for it."""
    return processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, SPECIAL_TOKENS.index(BOS))])


def first(texts: Iterable[str], limit: int) -> Iterator[str]:
    """Texts until ``limit`` bytes are given; the last one is cut."""
    for text in texts:
        size = len(text.encode())
        if size >= limit:
            yield text.encode()[:limit].decode(errors="ignore")
            return
        limit -= size
        yield text
