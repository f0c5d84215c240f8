"""SentencePiece's BPE as llama.cpp computes it: of all neighbours that make a token, the best score goes first."""

from collections.abc import Sequence

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models, normalizers

from engine.foreign_model import ForeignModelError
from engine.gguf.metadata import Metadata
from engine.gguf.token_types import NORMAL, UNKNOWN
from engine.tokenizers.builtin import BYTES
from engine.tokenizers.sentencepiece import SPACE


def make(known: Metadata, pieces: Sequence[str], types: NDArray[np.int64]) -> tokenizers.Tokenizer:
    """A tokenizer of such pieces, without special ones and without what begins a text.

    Raises:
        ForeignModelError: bytes or scores are missing.
    """
    number = {piece: n for n, piece in enumerate(pieces)}
    if any(f"<0x{byte:02X}>" not in number for byte in range(BYTES)):
        raise ForeignModelError(f"{known.path}: tokens for single bytes are missing, so that not every text has ids")
    if "tokenizer.ggml.scores" not in known:
        raise ForeignModelError(f"{known.path}: tokenizer.ggml.scores is missing")
    scores = known.array("tokenizer.ggml.scores", len(pieces), 0.0)
    unknown = [pieces[n] for n in np.flatnonzero(types == UNKNOWN).tolist()]
    model = models.BPE(
        number,
        _merges(pieces, types, scores),
        unk_token=unknown[0] if unknown else None,
        byte_fallback=True,
        fuse_unk=True,
    )
    inner = tokenizers.Tokenizer(model)
    prefixed = known.flag("tokenizer.ggml.add_space_prefix", True)
    spaces = normalizers.Replace(" ", SPACE)
    inner.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), spaces]) if prefixed else spaces
    parts = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    inner.decoder = decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)] if prefixed else parts)
    return inner


def _merges(pieces: Sequence[str], types: NDArray[np.int64], scores: NDArray[np.float64]) -> list[tuple[str, str]]:
    """Every way to put a normal piece together from two others, best score first."""
    normal = {pieces[n]: float(scores[n]) for n in np.flatnonzero(types == NORMAL).tolist()}
    found = [
        (-score, piece[:cut], piece[cut:])
        for piece, score in normal.items()
        for cut in range(1, len(piece))
        if piece[:cut] in normal and piece[cut:] in normal
    ]
    found.sort(key=lambda merge: merge[0])
    return [(first, second) for _, first, second in found]
