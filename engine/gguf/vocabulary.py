"""The tokenizer in a GGUF file, as ``tokenizers`` computes it: byte-level BPE, or SentencePiece's BPE.

Special tokens (those of type control) are never found in texts, as everywhere in thord; in llama.cpp they are where
``parse_special`` asks for it.
"""

from collections.abc import Sequence

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import AddedToken, decoders, models, processors

from engine.artifacts import ArtifactError
from engine.foreign_model import ForeignModelError
from engine.gguf import pretokenizers, spm
from engine.gguf.metadata import Metadata
from engine.gguf.token_types import CONTROL, NORMAL, UNUSED, USER_DEFINED
from engine.huggingface.tokenizer import end_of_answer
from engine.tokenizers.huggingface import ChatFormat, HuggingFaceTokenizer

_PREFIX = "tokenizer.ggml."
_ROLES = ("bos", "eos", "eot", "eom", "unknown", "padding")
_NAMED = {"bos": "bos_token", "eos": "eos_token", "padding": "pad_token", "unknown": "unk_token"}
"""What templates call them."""
_ENDS = (
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "</s>",
)
"""Tokens that llama.cpp takes for special ones even where a file says something else."""


def read(known: Metadata, ids: int) -> HuggingFaceTokenizer:
    """The tokenizer of a model of so many ids, with its chat template.

    Raises:
        ForeignModelError: it is of a kind that thord does not compute exactly, or damaged.
    """
    pieces = known.texts(f"{_PREFIX}tokens")
    if len(pieces) > ids:
        raise ForeignModelError(f"{known.path} is damaged: {len(pieces)} tokens, but the model has {ids} ids")
    if len(set(pieces)) < len(pieces):
        raise ForeignModelError(f"{known.path} is damaged: it has a token twice")
    roles = _roles(known, len(pieces))
    types = known.array(f"{_PREFIX}token_type", len(pieces), NORMAL).astype(np.int64)
    special = {number for role, number in roles.items() if role != "unknown"}
    types[[number for number, piece in enumerate(pieces) if number in special or piece in _ENDS]] = CONTROL
    kind = known.text(f"{_PREFIX}model")
    match kind:
        case "gpt2":
            inner, begins_with_bos = _byte_level(known, pieces, types), _pre_type(known).begins_with_bos
        case "llama":
            inner, begins_with_bos = spm.make(known, pieces, types), True
        case _:
            raise ForeignModelError(f"{known.path}: {_PREFIX}model '{kind}' is not known; known are gpt2, llama")
    _add_tokens(inner, pieces, types)
    opening = (roles["bos"],) if "bos" in roles and known.flag(f"{_PREFIX}add_bos_token", begins_with_bos) else ()
    if opening:
        name = pieces[opening[0]]
        inner.post_processor = processors.TemplateProcessing(single=f"{name} $A", special_tokens=[(name, opening[0])])
    return _with_chat(known, inner, pieces, roles, opening, ids)


def _roles(known: Metadata, count: int) -> dict[str, int]:
    """Ids of tokens that have one, such as the one that ends a text."""
    keys = {role: f"{_PREFIX}{role}_token_id" for role in _ROLES}
    found = {role: known.integer(key) for role, key in keys.items() if key in known}
    if "eos" not in found and "eot" in found:
        found["eos"] = found["eot"]
    if "eos" not in found and known.get(f"{_PREFIX}model") == "llama":
        found = {"bos": 1, "eos": 2, "unknown": 0} | found  # as llama.cpp has it where a file does not say
    for role, number in found.items():
        if not 0 <= number < count:
            raise ForeignModelError(f"{known.path} is damaged: {keys[role]} is {number}, of {count} tokens")
    if "eos" not in found:
        raise ForeignModelError(f"{known.path}: {keys['eos']} is missing: nothing would ever end a text")
    return found


def _pre_type(known: Metadata) -> pretokenizers.PreType:
    name = known.text(f"{_PREFIX}pre", "")
    if name not in pretokenizers.BY_NAME:
        raise ForeignModelError(
            f"{known.path}: thord does not know how {_PREFIX}pre '{name}' cuts texts; it knows "
            f"{', '.join(pretokenizers.BY_NAME)}"
        )
    return pretokenizers.BY_NAME[name]


def _byte_level(known: Metadata, pieces: Sequence[str], types: NDArray[np.int64]) -> tokenizers.Tokenizer:
    pre_type = _pre_type(known)
    merges: list[tuple[str, str]] = []
    for merge in known.texts(f"{_PREFIX}merges"):
        cut = merge.find(" ", 1)
        if cut > 0:
            merges.append((merge[:cut], merge[cut + 1 :]))
    needed = {first + second for first, second in merges}
    vocabulary = {
        piece: number
        for number, (piece, kind) in enumerate(zip(pieces, types, strict=True))
        if kind != UNUSED or piece in needed
    }
    try:
        model = models.BPE(vocabulary, merges, ignore_merges=pre_type.whole_words)
    except Exception as error:  # the library raises bare Exception
        raise ForeignModelError(f"{known.path} is damaged: its merges do not fit its tokens: {error}") from error
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = pre_type.pre_tokenizer()
    inner.decoder = decoders.ByteLevel()
    return inner


def _add_tokens(inner: tokenizers.Tokenizer, pieces: Sequence[str], types: NDArray[np.int64]) -> None:
    """Have special tokens be such, and those that users defined be found before texts are cut into words."""
    special = [AddedToken(pieces[n], special=True, normalized=False) for n in np.flatnonzero(types == CONTROL).tolist()]
    inner.add_special_tokens(special)
    inner.add_tokens([AddedToken(pieces[n], normalized=False) for n in np.flatnonzero(types == USER_DEFINED).tolist()])


def _with_chat(
    known: Metadata,
    inner: tokenizers.Tokenizer,
    pieces: Sequence[str],
    roles: dict[str, int],
    opening: tuple[int, ...],
    ids: int,
) -> HuggingFaceTokenizer:
    template = known.get("tokenizer.chat_template")
    form = ChatFormat(
        vocabulary=ids,
        opening=opening,
        eos=roles["eos"],
        end=roles["eos"],
        ends=tuple(roles[role] for role in ("eos", "eot", "eom") if role in roles),
        pad=roles.get("padding", roles["eos"]),
        template=template if isinstance(template, str) and template else None,
        tokens={name: pieces[roles[role]] for role, name in _NAMED.items() if role in roles},
    )
    source = inner.to_str()
    try:
        ends = [roles["eot"]] if "eot" in roles else []
        end = end_of_answer(HuggingFaceTokenizer(source, form), ends)
        return HuggingFaceTokenizer(source, form.model_copy(update={"end": end}))
    except ArtifactError as error:
        raise ForeignModelError(f"{known.path}: {error}") from error
