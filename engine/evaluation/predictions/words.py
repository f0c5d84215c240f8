"""The words of a text in any script.

A word is a run of letters, marks and digits, lower-cased, so that ASCII text is cut exactly as by rouge-score. Scripts
that put no spaces between words give one word for each character that a reader sees (Unicode's grapheme clusters).
"""

import unicodedata

import regex

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_WORD = regex.compile(rf"(?=[{UNSPACED}])\X|[[\p{{L}}\p{{M}}\p{{N}}]--[{UNSPACED}]]+", regex.VERSION1)
_INVISIBLE = regex.compile(r"\p{Cf}")
_ZERO_WIDTH_SPACE = "\u200b"


def words(text: str) -> list[str]:
    """The words of a text; composed and decomposed forms of a letter are the same."""
    visible = _INVISIBLE.sub("", text.replace(_ZERO_WIDTH_SPACE, " "))
    return _WORD.findall(unicodedata.normalize("NFKC", visible).lower())


def ngrams(of: list[str], size: int) -> list[tuple[str, ...]]:
    """All runs of ``size`` words, in order."""
    return list(zip(*(of[start:] for start in range(size)), strict=False))
