"""Tokenizers by kind: train one, load one."""

import functools
from collections.abc import Callable, Iterable
from pathlib import Path

from engine.artifacts import ArtifactError
from engine.config.tokenizer import TokenizerSettings
from engine.tokenizers import bpe, huggingface, sentencepiece
from engine.tokenizers import bytes as byte
from engine.tokenizers.base import Tokenizer

_LOADERS: dict[str, Callable[[Path], Tokenizer]] = {
    "bpe": bpe.load,
    "unigram": functools.partial(sentencepiece.load, model="unigram"),
    "sentencepiece-bpe": functools.partial(sentencepiece.load, model="bpe"),
    "bytes": byte.load,
    "huggingface": huggingface.load,
}
"""The kinds of `engine.config.TokenizerKind`, and the one that only comes with an imported model."""


def train(settings: TokenizerSettings, texts: Iterable[str]) -> Tokenizer:
    """A tokenizer of the kind: the one made beforehand, where the settings name it, else learned from the first texts.

    Raises:
        ArtifactError: the one made beforehand is missing, damaged, or of another kind.
    """
    if settings.folder is not None:
        try:
            return load(settings.kind, Path(settings.folder))
        except ArtifactError as error:
            needed = f"tokenizer.folder must hold a tokenizer of the kind that tokenizer.kind says, '{settings.kind}'"
            raise ArtifactError(f"{error}; {needed}") from error
    sample_bytes = settings.sample_megabytes << 20
    match settings.kind:
        case "bpe":
            return bpe.train(texts, settings.vocabulary, sample_bytes)
        case "unigram":
            return sentencepiece.train(texts, settings.vocabulary, sample_bytes, "unigram")
        case "sentencepiece-bpe":
            return sentencepiece.train(texts, settings.vocabulary, sample_bytes, "bpe")
        case "bytes":
            return byte.ByteTokenizer()


def load(kind: str, folder: Path) -> Tokenizer:
    """The tokenizer in a folder.

    Raises:
        ArtifactError: it is missing, damaged, or of another kind.
    """
    if kind not in _LOADERS:
        raise ArtifactError(f"{folder}: there is no kind of tokenizer '{kind}'; there are {', '.join(_LOADERS)}")
    return _LOADERS[kind](folder)
