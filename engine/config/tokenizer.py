"""``[tokenizer]``: how text is cut into tokens."""

from typing import Literal

from pydantic import Field

from engine.section import Section

TokenizerKind = Literal["bpe", "unigram", "sentencepiece-bpe", "bytes"]


class TokenizerSettings(Section):
    """``[tokenizer]``: trained on the first data, fixed from then on."""

    kind: TokenizerKind = Field(
        "bpe", description="Byte-level BPE, SentencePiece (unigram or BPE), or plain bytes, which learn nothing."
    )
    vocabulary: int = Field(
        8192, ge=400, le=262_144, description="Size of the vocabulary, special tokens included; bytes are always 264."
    )
    sample_megabytes: int = Field(64, gt=0, description="At most this much text is read to train it.")
    folder: str | None = Field(
        None,
        examples=["/srv/tokenizers/words"],
        description="One that 'thorctl tokenizer train' made, of this kind, instead of training one.",
    )
