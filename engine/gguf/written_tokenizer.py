"""A version's tokenizer in the words of GGUF files, where llama.cpp computes the same ids.

thord's byte-level BPE       gpt2, pre-type gpt-2
thord's SentencePiece BPE    llama
of imported models           gpt2, where its words are cut as one of `engine.gguf.pretokenizers`; llama, where it has
                             SentencePiece's spaces and bytes
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import tokenizers
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from engine.foreign_model import ForeignModelError
from engine.gguf import pretokenizers, token_types
from engine.tokenizers.base import BOS, END, EOS, PAD, Tokenizer
from engine.tokenizers.huggingface import HuggingFaceTokenizer
from engine.tokenizers.sentencepiece import SPACE

_SPACED = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
_PREFIXED = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, _SPACED]}
_BY_WORDS: JsonValue = {
    "type": "Split",
    "pattern": {"String": " "},
    "behavior": "MergedWithNext",
    "invert": False,
}
_NO_CUT: JsonValue = {
    "type": "Split",
    "pattern": {"String": " "},
    "behavior": "MergedWithPrevious",
    "invert": False,
}
"""Gemma's: where spaces have become U+2581 before, it finds none."""

_PHI3 = {"<unk>", "<s>", "</s>", "<|endoftext|>"}
"""What llama.cpp wants to find in a model whose name says that it is a Phi-3."""
_NO_MERGES = ("",)
"""llama.cpp wants a list of merges, and the package writes none that is empty."""


class _Added(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: int
    content: str
    special: bool
    rstrip: bool = False


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: str
    vocab: dict[str, int] | list[tuple[str, float]]
    merges: list[str] | list[tuple[str, str]] = []
    byte_fallback: bool = False
    ignore_merges: bool = False
    dropout: float | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    unk_token: str | None = None


class _Json(BaseModel):
    """``tokenizer.json``, as far as it matters here."""

    model_config = ConfigDict(extra="ignore")

    model: _Model
    added_tokens: list[_Added] = []
    normalizer: JsonValue = None
    pre_tokenizer: JsonValue = None


@dataclass(frozen=True)
class Written:
    """What a file says of a tokenizer: lists as long as the model has ids, and keys without ``tokenizer.ggml.``.

    Attributes:
        as_phi3: whether special tokens take the white space behind them; llama.cpp knows this by the model's name.
    """

    tokens: Sequence[str]
    types: Sequence[int]
    merges: Sequence[str] = ()
    scores: Sequence[float] = ()
    keys: Mapping[str, int | bool | str] = field(default_factory=dict)
    template: str | None = None
    as_phi3: bool = False


def describe(tokenizer: Tokenizer, source: str) -> Written:
    """The description of a tokenizer whose ``tokenizer.json`` has the text ``source``.

    Raises:
        ForeignModelError: llama.cpp has none that gives the same ids.
    """
    if tokenizer.kind in ("bytes", "unigram"):
        raise ForeignModelError(
            f"llama.cpp has no tokenizer that gives the same ids as one of kind '{tokenizer.kind}'; it supports bpe, "
            "sentencepiece-bpe and most tokenizers of imported models"
        )
    try:
        described = _Json.model_validate_json(source)
    except ValidationError as error:
        raise ForeignModelError("the version's tokenizer.json has a form that is not known") from error
    model = described.model
    if model.type != "BPE" or not isinstance(model.vocab, dict):
        raise ForeignModelError(f"llama.cpp computes no tokenizer of type {model.type} exactly as it is")
    if model.dropout or model.continuing_subword_prefix or model.end_of_word_suffix:
        raise ForeignModelError("llama.cpp has no BPE with dropout, or with marks at the ends of words")
    numbers = model.vocab | {token.content: token.id for token in described.added_tokens}
    tokens, types = _tokens(numbers, described, tokenizer)
    roles = _roles(tokenizer, tokenizers.Tokenizer.from_str(source))
    if model.byte_fallback:
        prefixed = _has_prefix(described)
        return Written(
            [piece.replace(" ", SPACE) for piece in tokens],
            [token_types.BYTE if _is_byte(piece) else kind for piece, kind in zip(tokens, types, strict=True)],
            scores=_scores(tokens, model),
            keys={"model": "llama", "pre": "default", "add_space_prefix": prefixed, **roles},
            template=tokenizer.chat_template,
            as_phi3=any(token.rstrip for token in described.added_tokens) and set(tokens) >= _PHI3,
        )
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model.merges]
    keys: dict[str, int | bool | str] = {"model": "gpt2", "pre": _pre_type(described), **roles}
    return Written(tokens, types, merges=merges or _NO_MERGES, keys=keys, template=tokenizer.chat_template)


def _tokens(numbers: Mapping[str, int], described: _Json, tokenizer: Tokenizer) -> tuple[list[str], list[int]]:
    """Every id's token and its type; ids that the tokenizer does not have are written as unused ones."""
    pieces = {number: piece for piece, number in numbers.items()}
    tokens, types = [], []
    users = {token.id for token in described.added_tokens if not token.special}
    for number in range(tokenizer.vocabulary):
        piece = pieces.get(number)
        if piece is None:
            piece = f"[PAD{number}]"
            while piece in numbers:
                piece += "]"
            types.append(token_types.UNUSED)
        elif number in tokenizer.specials:
            types.append(token_types.CONTROL)
        elif number in users:
            types.append(token_types.USER_DEFINED)
        else:
            types.append(token_types.UNKNOWN if piece == described.model.unk_token else token_types.NORMAL)
        tokens.append(piece)
    return tokens, types


def _roles(tokenizer: Tokenizer, inner: tokenizers.Tokenizer) -> dict[str, int | bool]:
    """Ids of special tokens, and whether texts begin with one."""
    if len(tokenizer.opening) > 1:
        raise ForeignModelError("llama.cpp begins texts with one special token, and this tokenizer does with several")
    roles: dict[str, int | bool] = {
        "eos_token_id": tokenizer.special(EOS),
        "padding_token_id": tokenizer.special(PAD),
        "add_bos_token": bool(tokenizer.opening),
        "add_eos_token": False,
    }
    if tokenizer.special(END) != tokenizer.special(EOS):
        roles["eot_token_id"] = tokenizer.special(END)
    bos = next(iter(tokenizer.opening), None)
    if isinstance(tokenizer, HuggingFaceTokenizer):
        tokens = tokenizer.chat.tokens
        bos = inner.token_to_id(tokens["bos_token"]) if bos is None and "bos_token" in tokens else bos
        unknown = inner.token_to_id(tokens["unk_token"]) if "unk_token" in tokens else None
        if unknown is not None:
            roles["unknown_token_id"] = unknown
    else:
        bos = tokenizer.special(BOS)
    if bos is not None:
        roles["bos_token_id"] = bos
    return roles


def _pre_type(described: _Json) -> str:
    """What llama.cpp calls the way in which texts are cut."""
    unicode_form = described.normalizer
    if unicode_form is not None and unicode_form != {"type": "NFC"}:  # llama.cpp leaves that to who writes the text
        raise ForeignModelError(f"llama.cpp has no normalizer {json.dumps(unicode_form)}")
    for kind in pretokenizers.PRE_TYPES:
        alike = _essence(json.loads(_dumped(kind))) == _essence(described.pre_tokenizer)
        if alike and kind.whole_words == described.model.ignore_merges:
            return kind.names[0]
    raise ForeignModelError(
        "llama.cpp has no pre-type that cuts texts as this tokenizer does: "
        f"{json.dumps(described.pre_tokenizer, ensure_ascii=False)}"
    )


def _dumped(kind: pretokenizers.PreType) -> str:
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = kind.pre_tokenizer()
    return json.dumps(json.loads(inner.to_str())["pre_tokenizer"])


def _essence(cut: JsonValue) -> JsonValue:
    """A pre-tokenizer without what does not matter: offsets, and a sequence of one."""
    if not isinstance(cut, dict):
        return cut
    parts = cut.get("pretokenizers")
    if isinstance(parts, list):
        inner = [_essence(part) for part in parts]
        return inner[0] if len(inner) == 1 else inner
    return {key: value for key, value in cut.items() if key != "trim_offsets"} | (
        {"use_regex": cut.get("use_regex", True)} if cut.get("type") == "ByteLevel" else {}
    )


def _has_prefix(described: _Json) -> bool:
    """Whether a space is put before a text; of pieces with bytes for the rest."""
    cut, normalizer = described.pre_tokenizer, described.normalizer
    if cut == _BY_WORDS and normalizer is None:
        if any(" " in piece[1:] for piece in described.model.vocab if isinstance(piece, str)):
            raise ForeignModelError("llama.cpp has no tokenizer whose pieces have spaces within")
        return False
    if cut in (None, _NO_CUT) and normalizer in (_SPACED, _PREFIXED):
        return normalizer == _PREFIXED
    raise ForeignModelError(
        "llama.cpp has no tokenizer with bytes for rare characters and this treatment of spaces: "
        f"{json.dumps([normalizer, cut], ensure_ascii=False)}"
    )


def _scores(tokens: Sequence[str], model: _Model) -> list[float]:
    """llama.cpp merges what gives the best score; here the order of the merges says what goes first."""
    order: dict[str, int] = {}
    for rank, merge in enumerate(model.merges):
        first, second = merge.split(" ", 1) if isinstance(merge, str) else merge
        order.setdefault(first + second, rank)
    return [-float(order[piece]) if piece in order else -1e6 for piece in tokens]


def _is_byte(piece: str) -> bool:
    return len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")
