"""SentencePiece, unigram or BPE: pieces that may begin with a space; what no piece covers is spelled in bytes.

Ids 0 to 7 are the special tokens, then come the 256 bytes, then the pieces. The pieces are learned by the
``sentencepiece`` package: of the two that can, it alone gives the same result twice. They are used by Hugging Face
``tokenizers``, with true spaces in place of SentencePiece's U+2581, so that every text comes back exactly.

Sources: Kudo, Subword Regularization (1804.10959); Kudo and Richardson, SentencePiece (1808.06226).
"""

import collections
import functools
import io
import itertools
import string
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import sentencepiece
import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from engine.config.tokenizer import TokenizerKind
from engine.tokenizers.base import SPECIAL_TOKENS
from engine.tokenizers.builtin import BYTES, BuiltinTokenizer, beginning_with_bos, first, read

SPACE = "\u2581"
"""How SentencePiece writes a space."""
FIRST = len(SPECIAL_TOKENS) + BYTES
"""The id of the first piece."""
_NEVER = -1e4
"""The score of special tokens and bytes in the unigram model: a text that spells one is cut into its characters."""
_ALWAYS = string.ascii_letters + string.digits + string.punctuation
"""Characters that are pieces in any case, so that such a text can be cut like that."""
_COVERAGE = 0.9995
"""Share of the sample that consists of characters that are pieces; rarer ones are spelled in bytes."""
_LONGEST_LINE = 4096
_THREADS = 4
"""Sums depend on it, so it is the same everywhere."""

Model = Literal["unigram", "bpe"]


def train(texts: Iterable[str], vocabulary: int, sample_bytes: int, model: Model) -> BuiltinTokenizer:
    """Learn pieces from the first ``sample_bytes`` of the texts; a small sample gives a smaller vocabulary.

    ``vocabulary`` is at least 400: special tokens, bytes, the ASCII characters, and some more.
    """
    lines = list(_lines(first(texts, sample_bytes))) or [_ALWAYS]
    names = [*SPECIAL_TOKENS, *(f"<0x{byte:02X}>" for byte in range(BYTES))]
    pieces = _learn(lines, vocabulary - FIRST, model, names)
    inner = tokenizers.Tokenizer(_bpe(names, pieces) if model == "bpe" else _unigram(names, pieces))
    inner.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_next")
    inner.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    inner.post_processor = beginning_with_bos()
    inner.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return BuiltinTokenizer(_kind(model), inner.to_str(pretty=True), _table([*names, *(piece for piece, _ in pieces)]))


def load(folder: Path, model: Model) -> BuiltinTokenizer:
    """Read ``tokenizer.json``.

    Raises:
        ArtifactError: it is missing, damaged, or no tokenizer of thord's.
    """
    return read(folder, _table, functools.partial(BuiltinTokenizer, _kind(model)))


def _kind(model: Model) -> TokenizerKind:
    return "unigram" if model == "unigram" else "sentencepiece-bpe"


def _learn(lines: Sequence[str], vocabulary: int, model: str, names: Sequence[str]) -> list[tuple[str, float]]:
    """Pieces with their scores, best first; none that is one of ``names``."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_without_rare(lines, most=(vocabulary - len(_ALWAYS)) // 2)),
        model_writer=written,
        model_type=model,
        vocab_size=vocabulary + 1,  # one of them is <unk>, which is left out
        character_coverage=1.0,
        required_chars=_ALWAYS,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        hard_vocab_limit=False,
        unk_id=0,
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        num_threads=_THREADS,
        minloglevel=2,
    )
    learned = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    scores = {learned.id_to_piece(n).replace(SPACE, " "): learned.get_score(n) for n in range(1, len(learned))}
    return _with_all(_ALWAYS, {piece: score for piece, score in scores.items() if piece not in names}, vocabulary)


def _with_all(characters: str, scores: dict[str, float], most: int) -> list[tuple[str, float]]:
    """Pieces of which every one of ``characters`` is one: the trainer forgets some where a text has few of its own.

    Where there would be more than ``most``, the last of several characters give way.
    """
    missing = [character for character in characters if character not in scores]
    if not missing:
        return list(scores.items())
    several = [piece for piece in scores if len(piece) > 1]
    surplus = max(0, len(scores) + len(missing) - most)
    gone = set(several[len(several) - surplus :])
    lowest = min(scores.values(), default=0.0)
    return [*((p, s) for p, s in scores.items() if p not in gone), *((p, lowest - 1.0) for p in missing)]


def _without_rare(lines: Sequence[str], most: int) -> list[str]:
    """Lines without the rarest characters, so that at most ``most`` are left and the coverage is reached if it can."""
    counts = collections.Counter(itertools.chain.from_iterable(lines))
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    shares = itertools.accumulate(counts[character] for character in ranked)
    enough = sum(share < _COVERAGE * counts.total() for share in shares) + 1
    kept = set(ranked[: min(enough, most)])
    rare = dict.fromkeys(map(ord, counts.keys() - kept - set(_ALWAYS)))
    return [line.translate(rare) for line in lines] if rare else list(lines)


def _unigram(names: Sequence[str], pieces: Sequence[tuple[str, float]]) -> models.Unigram:
    return models.Unigram([*((name, _NEVER) for name in names), *pieces], unk_id=0, byte_fallback=True)


def _bpe(names: Sequence[str], pieces: Sequence[tuple[str, float]]) -> models.BPE:
    """Every way to put a piece together from two others is a merge, in the order of the pieces."""
    numbers = {name: number for number, name in enumerate([*names, *(piece for piece, _ in pieces)])}
    known = {piece for piece, _ in pieces}
    merges = [
        (piece[:cut], piece[cut:])
        for piece, _ in pieces
        for cut in range(1, len(piece))
        if piece[:cut] in known and piece[cut:] in known
    ]
    return models.BPE(numbers, merges, byte_fallback=True)


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """What pieces are learned from: line by line, in bounded lengths, without the character that means a space."""
    for text in texts:
        for line in text.replace(SPACE, "").replace("\x00", "").split("\n"):
            for start in range(0, len(line), _LONGEST_LINE):
                yield line[start : start + _LONGEST_LINE]


def _table(pieces: Sequence[str]) -> list[bytes]:
    special = [b""] * len(SPECIAL_TOKENS)
    return [*special, *(bytes([byte]) for byte in range(BYTES)), *(piece.encode() for piece in pieces[FIRST:])]
