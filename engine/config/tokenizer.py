"""``[tokenizer]``: how text is cut into tokens."""

from typing import Literal

from pydantic import Field

from engine.section import Section

TokenizerKind = Literal["bpe", "unigram", "sentencepiece-bpe", "bytes"]


class TokenizerSettings(Section):
    """``[tokenizer]``: trained on the first data and fixed from then on."""

    kind: TokenizerKind = Field(
        "bpe", description="Byte-level BPE, SentencePiece (unigram or BPE), or plain bytes, which need no training."
    )
    vocabulary: int = Field(
        8192, ge=400, le=262_144, description="Vocabulary size, including special tokens; bytes always have 264."
    )
    sample_megabytes: int = Field(64, gt=0, description="Maximum amount of text to train the tokenizer on.")
    sample_lines: int | None = Field(
        None,
        gt=0,
        examples=[10_000],
        description="Maximum number of lines of that text. Unset: as many as there are.",
    )
    folder: str | None = Field(
        None,
        examples=["/srv/tokenizers/words"],
        description="Folder of a tokenizer of this kind made by 'thorctl tokenizer train', to use instead of training"
        " one.",
    )
