"""Tokenizers by kind: what a folder holds, loaded."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.artifacts import ArtifactError, FileRecord
from engine.tokenizers import bpe, huggingface, sentencepiece
from engine.tokenizers import bytes as byte
from engine.tokenizers.base import FILE, Tokenizer

_LOADERS: dict[str, Callable[[Path], Tokenizer]] = {
    "bpe": bpe.load,
    "unigram": functools.partial(sentencepiece.load, model="unigram"),
    "sentencepiece-bpe": functools.partial(sentencepiece.load, model="bpe"),
    "bytes": byte.load,
    "huggingface": huggingface.load,
}
"""The kinds of `engine.config.tokenizer.TokenizerKind`, and the one that only comes with an imported model."""


def load(kind: str, folder: Path) -> Tokenizer:
    """The tokenizer in a folder.

    Raises:
        ArtifactError: it is missing, damaged, or of another kind.
    """
    if kind not in _LOADERS:
        raise ArtifactError(f"{folder}: there is no kind of tokenizer '{kind}'; there are {', '.join(_LOADERS)}")
    return _LOADERS[kind](folder)


def files(records: Mapping[str, FileRecord]) -> dict[str, FileRecord]:
    """Of the files of a folder those that its tokenizer is made of: where they are equal, it is."""
    return {name: records[name] for name in (FILE, huggingface.CHAT_FILE) if name in records}
