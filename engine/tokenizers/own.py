"""What thord's own tokenizers have in common: ids 0 to 7 are `SPECIAL_TOKENS`, every other id stands for fixed bytes.

The work is done by Hugging Face ``tokenizers``, and ``tokenizer.json`` is read by ``transformers`` too.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import tokenizers
from tokenizers import processors

from engine.artifacts import ArtifactError
from engine.data.conversation import Message
from engine.tokenizers.base import ASSISTANT, BOS, END, FILE, SPECIAL_TOKENS, Encoded
from engine.tokenizers.chat import ROLE_TOKENS
from engine.tokenizers.words import Words

BYTES = 256
CHAT_TEMPLATE = (
    f"{{{{ '{BOS}' }}}}"
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '" + END + "' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '" + ASSISTANT + "' }}{% endif %}"
)
"""The form of every dialogue, in Jinja: for others. Here no text can spell a special token."""


class OwnTokenizer:
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
        self._words = Words(self._encode_whole) if kind == "bpe" else None
        self.vocabulary = len(self._bytes)
        self.opening = (self._special[BOS],)
        self.specials = dict(enumerate(SPECIAL_TOKENS))

    @property
    def chat_template(self) -> str:
        """As the Protocol."""
        return CHAT_TEMPLATE

    def encode(self, text: str) -> list[int]:
        """As the Protocol."""
        return self._words.encode(text) if self._words else self._encode_whole([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """As the Protocol, on all processors where there are no words to remember."""
        return [self._words.encode(text) for text in texts] if self._words else self._encode_whole(texts)

    def encode_dialogue(self, messages: Sequence[Message], learn_from: int) -> Encoded:
        """``<|bos|>``, then for each turn ``<|role|> content <|end|>``; there is a form for every dialogue."""
        ids, supervised = [*self.opening], [False]
        for turn, message in enumerate(messages):
            body = [*self.encode(message.content), self._special[END]]
            learned = message.role == "assistant" and turn >= learn_from
            ids += [self._special[ROLE_TOKENS[message.role]], *body]
            supervised += [False] + [learned] * len(body)
        return Encoded(ids, supervised)

    def encode_prompt(self, messages: Sequence[Message]) -> list[int]:
        """A dialogue and ``<|assistant|>``."""
        return [*self.encode_dialogue(messages, len(messages)).ids, self._special[ROLE_TOKENS["assistant"]]]

    def decode(self, ids: Sequence[int]) -> str:
        """As the Protocol."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """As the Protocol."""
        return b"".join(self._bytes[number] for number in ids)

    def _encode_whole(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._inner.encode_batch_fast(texts, add_special_tokens=False)]

    def special(self, token: str) -> int:
        """As the Protocol."""
        return self._special[token]

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``."""
        (folder / FILE).write_text(self._source, encoding="utf-8")


def read(kind: str, folder: Path, table_of: Callable[[list[str]], Sequence[bytes]]) -> OwnTokenizer:
    """The tokenizer in ``tokenizer.json``; ``table_of`` tells from the pieces by id which bytes each stands for.

    Raises:
        ArtifactError: it is missing, damaged, or no tokenizer of thord's.
    """
    file = folder / FILE
    inner = read_inner(folder)
    known = inner.get_vocab()
    if [known.get(token) for token in SPECIAL_TOKENS] != list(range(len(SPECIAL_TOKENS))):
        raise ArtifactError(f"{file}: the ids 0 to {len(SPECIAL_TOKENS) - 1} are not thord's special tokens")
    if len(known) < len(SPECIAL_TOKENS) + BYTES or max(known.values()) != len(known) - 1:
        raise ArtifactError(f"{file}: the vocabulary lacks bytes or has gaps")
    try:
        return OwnTokenizer(kind, file.read_text(encoding="utf-8"), table_of(sorted(known, key=known.__getitem__)))
    except KeyError as error:
        raise ArtifactError(f"{file}: {error} stands for no byte") from error


def read_inner(folder: Path) -> tokenizers.Tokenizer:
    """``tokenizer.json`` as the library reads it.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    file = folder / FILE
    try:
        return tokenizers.Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare Exception for bad JSON
        raise ArtifactError(f"{file}: {error}") from error


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
