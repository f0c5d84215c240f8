"""Train a tokenizer of the kind that the settings name."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.artifacts import ArtifactError
from engine.config.tokenizer import TokenizerSettings
from engine.tokenizers import bpe, registry, sentencepiece
from engine.tokenizers import bytes as byte
from engine.tokenizers.base import Tokenizer


def train(settings: TokenizerSettings, texts: Iterable[str]) -> Tokenizer:
    """A tokenizer of the kind: the one made beforehand, where the settings name it, else learned from the first texts.

    Raises:
        ArtifactError: the one made beforehand is missing, damaged, or of another kind.
    """
    if settings.folder is not None:
        try:
            return registry.load(settings.kind, Path(settings.folder))
        except ArtifactError as error:
            needed = f"tokenizer.folder must hold a tokenizer of the kind that tokenizer.kind says, '{settings.kind}'"
            raise ArtifactError(f"{error}; {needed}") from error
    sample_bytes = settings.sample_megabytes << 20
    if settings.sample_lines is not None:
        texts = _first_lines(texts, settings.sample_lines)
    match settings.kind:
        case "bpe":
            return bpe.train(texts, settings.vocabulary, sample_bytes)
        case "unigram":
            return sentencepiece.train(texts, settings.vocabulary, sample_bytes, "unigram")
        case "sentencepiece-bpe":
            return sentencepiece.train(texts, settings.vocabulary, sample_bytes, "bpe")
        case "bytes":
            return byte.ByteTokenizer()


def _first_lines(texts: Iterable[str], count: int) -> Iterator[str]:
    """The texts up to so many lines of all of them together; the end of a text ends a line."""
    for text in texts:
        lines = text.splitlines(keepends=True)
        if len(lines) >= count:
            yield "".join(lines[:count])
            return
        count -= len(lines)
        yield text
