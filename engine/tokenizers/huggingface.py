"""The tokenizer of an imported model: its own ``tokenizer.json``, special tokens and chat template.

Beside ``tokenizer.json``, which is kept as it came, stands ``chat.json`` (`ChatFormat`). Byte-level BPE and
SentencePiece-like tokenizers are known. Text that spells a special token is text here too.
"""

import functools
import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, JsonValue

from engine import artifacts
from engine.artifacts import ArtifactError
from engine.data.encoded import Encoded
from engine.data.samples import Message
from engine.tokenizers.base import (
    ANSWERING,
    BOS,
    END,
    EOS,
    FILE,
    PAD,
    DialogueRefusedError,
    PromptForm,
    Turns,
)
from engine.tokenizers.builtin import read_source
from engine.tokenizers.byte_level import bytes_by_character
from engine.tokenizers.call_form import PLAIN, CallForm
from engine.tokenizers.templates.foreign_call_form import form_of
from engine.tokenizers.templates.foreign_chat_template import ChatTemplate, Given, Turn

CHAT_FILE = "chat.json"
_SPACE = "\u2581"
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_BREAK = "\ufdd0"
"""A noncharacter. More of it than any message has is put into a special token that one spells, so that it is none."""

_Token = tuple[int, int, int]
"""Its id, and the first and last character of the text that it comes from."""


class ChatFormat(BaseModel):
    """``chat.json``: what thord must know of a foreign tokenizer besides its ``tokenizer.json``.

    Attributes:
        vocabulary: of the model, which may have more ids than the tokenizer.
        opening: ids that every text begins with.
        eos: what ends a text.
        end: what ends an answer.
        ends: ids that end one too, by ``generation_config.json``.
        template: Jinja; null where the model knows no chat.
        tokens: special tokens that the template may name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    vocabulary: int
    opening: tuple[int, ...]
    eos: int
    end: int
    ends: tuple[int, ...] = ()
    pad: int
    template: str | None
    tokens: dict[str, str]


class HuggingFaceTokenizer:
    """Implements `engine.tokenizers.base.Tokenizer`."""

    kind = "huggingface"

    def __init__(self, source: str, chat: ChatFormat) -> None:
        """``source`` is the text of ``tokenizer.json``.

        Raises:
            ArtifactError: it is of a kind that is not known, or its template is broken.
        """
        self._source = source
        self.chat = chat
        self._marked = tokenizers.Tokenizer.from_str(source)
        self._text = _reading_specials_as_text(self._marked)
        self.vocabulary = chat.vocabulary
        self.opening = chat.opening
        added = {number: token for number, token in self._marked.get_added_tokens_decoder().items() if token.special}
        self.specials = {number: str(token.content) for number, token in added.items()}
        self.specials |= {
            number: self._marked.id_to_token(number) or "" for number in (chat.eos, chat.end, *chat.ends, *chat.opening)
        }
        self._stripping = {str(token.content) for token in added.values() if token.rstrip}
        self._ends = frozenset((chat.eos, chat.end, *chat.ends))
        self._named = re.compile("|".join(re.escape(name) for name in self.specials.values() if name) or r"(?!)")
        self._bytes = _table(self._marked, chat, self.specials)
        try:
            self._template = None if chat.template is None else ChatTemplate(chat.template, chat.tokens)
        except DialogueRefusedError as error:
            raise ArtifactError(str(error)) from error

    @property
    def chat_template(self) -> str | None:
        """As the Protocol."""
        return self.chat.template

    def encode(self, text: str) -> list[int]:
        """As the Protocol."""
        # As a batch of one: only then does the library let other threads run.
        ids: list[int] = self._text.encode_batch_fast([text], add_special_tokens=False)[0].ids
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """As the Protocol."""
        encodings = self._text.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids, np.int32) for encoding in encodings]

    def encode_dialogues(self, dialogues: Sequence[Turns]) -> list[Encoded | DialogueRefusedError]:
        """As the Protocol; what the assistant says is supervised up to the special token that ends it."""
        written = [self._written(*dialogue) for dialogue in dialogues]
        tokens = iter(self._encode_marked([each for each in written if isinstance(each, _Written)]))
        return [self._supervised(next(tokens), each.spans) if isinstance(each, _Written) else each for each in written]

    @functools.cached_property
    def call_form(self) -> CallForm:
        """As the Protocol."""
        return PLAIN if self._template is None else form_of(self._template, self.specials.values())

    @property
    def template_variables(self) -> frozenset[str]:
        """As the Protocol."""
        return frozenset() if self._template is None else self._template.variables

    def encode_prompt(self, messages: Sequence[Message], form: PromptForm = ANSWERING) -> list[int]:
        """As the Protocol."""
        template = self._chat_template()
        (tokens,) = self._encode_marked([self._prompt(template, template.forms_of(messages), form)])
        return [number for number, _, _ in tokens]

    def decode(self, ids: Sequence[int]) -> str:
        """As the Protocol."""
        text: str = self._marked.decode([number for number in ids if number not in self.specials])
        return text

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """As the Protocol."""
        return b"".join(self._bytes[number] for number in ids)

    def special(self, token: str) -> int:
        """As the Protocol; without a token of its own, `BOS` is what ends a text."""
        chat = self.chat
        return {BOS: (*chat.opening, chat.eos)[0], EOS: chat.eos, END: chat.end, PAD: chat.pad}[token]

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json`` and ``chat.json``."""
        (folder / FILE).write_text(self._source, encoding="utf-8")
        (folder / CHAT_FILE).write_text(self.chat.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def _chat_template(self) -> ChatTemplate:
        if self._template is None:
            raise DialogueRefusedError("the imported model has no chat template: it continues text, and nothing else")
        return self._template

    def _prompt(self, template: ChatTemplate, forms: Sequence[Given], form: PromptForm) -> "_Written":
        given, *others = forms
        (*turns, beside, variables), cut = self._disarmed([*given.turns, {"tools": given.tools}, {**form.variables}])
        try:
            if form.continues:
                text = template.render_open(turns, variables=variables, tools=beside["tools"])
            else:
                text = template.render(turns, answering=form.opens_answer, variables=variables, tools=beside["tools"])
        except DialogueRefusedError:
            if not others:
                raise
            return self._prompt(template, others, form)
        return _Written(text, [], cut)

    def _disarmed(self, given: Sequence[Turn]) -> tuple[Sequence[Turn], str]:
        """What a template is given, without a special token spelled in it: ``cut`` stands in it; "" where none was."""
        texts = [text for turn in given for text in _texts(turn)]
        if not any(self._named.search(text) for text in texts):
            return given, ""
        runs = (run for text in texts for run in re.findall(f"{_BREAK}+", text))
        cut = max(runs, key=len, default="") + _BREAK

        def cut_in(text: str) -> str:
            return self._named.sub(lambda found: found[0][0] + cut + found[0][1:], text)

        def apart(value: JsonValue) -> JsonValue:
            if isinstance(value, str):
                return cut_in(value)
            if isinstance(value, list):
                return [apart(each) for each in value]
            return {cut_in(key): apart(each) for key, each in value.items()} if isinstance(value, dict) else value

        return [{key: apart(value) for key, value in turn.items()} for turn in given], cut

    def _written(self, messages: Sequence[Message], learn_from: int) -> "_Written | DialogueRefusedError":
        refused: DialogueRefusedError | None = None
        try:
            template = self._chat_template()
        except DialogueRefusedError as error:
            return error
        for given in template.forms_of(messages):
            (*turns, beside), cut = self._disarmed([*given.turns, {"tools": given.tools}])
            learned = [
                turn for turn, place in enumerate(given.places) if messages[place].is_supervised and place >= learn_from
            ]
            try:
                return _Written(*template.answers(turns, learned, beside["tools"]), cut)
            except DialogueRefusedError as error:
                refused = refused or error
        return refused or DialogueRefusedError("there is no form for it")

    def _encode_marked(self, written: Sequence["_Written"]) -> list[list[_Token]]:
        """Ids of templates' texts, special tokens as such, on all processors."""
        whole = [each.text for each in written if not each.cut]
        encodings = iter(self._marked.encode_batch(whole, add_special_tokens=False))
        return [self._encode_apart(each) if each.cut else _tokens(next(encodings)) for each in written]

    def _encode_apart(self, written: "_Written") -> list[_Token]:
        """A text into whose messages `_Written.cut` had to be put, taken apart at special tokens and answers."""
        text = written.text
        found = [match.span() for match in self._named.finditer(text)]
        edges = sorted(
            {0, len(text), *(start for start, _ in written.spans), *(edge for span in found for edge in span)}
        )
        tokens: list[_Token] = []
        strips = False
        for begins, ends in itertools.pairwise(edges):
            part = text[begins:ends].replace(written.cut, "")
            if (begins, ends) in found:
                number, strips = self._marked.token_to_id(part), part in self._stripping
                tokens += [] if number is None else [(number, begins, ends)]
                continue
            part = part.lstrip() if strips else part
            strips = strips and not part
            tokens += [(number, begins, ends) for number in self.encode(part)]
        return tokens

    def _supervised(self, tokens: Sequence[_Token], spans: Sequence[tuple[int, int]]) -> Encoded:
        supervised = np.zeros(len(tokens), np.bool_)
        for start, end in spans:
            said = [place for place, (_, begins, ends) in enumerate(tokens) if start <= begins and ends <= end]
            for place in said[: self._length_of_answer([tokens[place][0] for place in said])]:
                supervised[place] = place > 0
        return Encoded(np.array([number for number, _, _ in tokens], np.int32), supervised)

    def _length_of_answer(self, said: Sequence[int]) -> int:
        """How many tokens of what the assistant says belong to the answer: up to what ends it, a special token.

        Others may stand before it, such as one that opens a call; what comes after it belongs to the template.
        """
        ends = [count for count, number in enumerate(said, 1) if number in self._ends]
        others = [count for count, number in enumerate(said, 1) if number in self.specials]
        return (ends[:1] or others[-1:] or [len(said)])[0]


@dataclass(frozen=True, slots=True)
class _Written:
    """A dialogue as its template writes it, and where the assistant's answers are in it.

    Attributes:
        cut: stands in what looks like a special token and is none; "" where nothing does.
    """

    text: str
    spans: Sequence[tuple[int, int]]
    cut: str


def _texts(value: JsonValue) -> Iterator[str]:
    """Every string in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _tokens(encoding: tokenizers.Encoding) -> list[_Token]:
    return [(number, *span) for number, span in zip(encoding.ids, encoding.offsets, strict=True)]


def load(folder: Path) -> HuggingFaceTokenizer:
    """Read ``tokenizer.json`` and ``chat.json``.

    Raises:
        ArtifactError: one of them is missing or damaged.
    """
    return HuggingFaceTokenizer(read_source(folder), artifacts.read_json(folder / CHAT_FILE, ChatFormat))


def _reading_specials_as_text(marked: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """Another one that takes no text for a special token. Both share pieces and merges, which are most of it."""
    found = tokenizers.Tokenizer(marked.model)
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if getattr(marked, part) is not None:
            setattr(found, part, getattr(marked, part))
    added = marked.get_added_tokens_decoder()
    found.add_tokens([added[number] for number in sorted(added)])
    found.encode_special_tokens = True
    return found


def _table(inner: tokenizers.Tokenizer, chat: ChatFormat, specials: Collection[int]) -> list[bytes]:
    """The bytes that each id stands for; none for special ids and for those that only the model has.

    Raises:
        ArtifactError: it is neither byte-level nor SentencePiece-like.
    """
    decoder = "null" if inner.decoder is None else inner.decoder.__getstate__().decode()
    if not any(kind in decoder for kind in ("ByteLevel", "ByteFallback", "Metaspace")):
        raise ArtifactError(f"{FILE}: its decoder is {decoder}; byte-level and SentencePiece-like ones are known")
    byte_of = bytes_by_character()
    added = inner.get_added_tokens_decoder()
    byte_level, spaced = "ByteLevel" in decoder, _SPACE in decoder or "Metaspace" in decoder
    table = [b""] * chat.vocabulary
    for piece, number in inner.get_vocab().items():
        byte = _BYTE.fullmatch(piece)
        if number in specials:
            continue
        if number in added and not spaced:
            table[number] = piece.encode()
        elif byte_level:
            table[number] = b"".join(
                bytes([byte_of[character]]) if character in byte_of else character.encode() for character in piece
            )
        elif byte:
            table[number] = bytes([int(byte[1], 16)])
        else:
            table[number] = (piece.replace(_SPACE, " ") if spaced else piece).encode()
    return table
