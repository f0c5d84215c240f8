"""BLEU, chrF2, chrF++ and TER of a corpus, by sacrebleu, with its signatures.

BLEU needs words: Chinese is cut as sacrebleu's ``zh`` does, other scripts without spaces into characters, the rest by
``13a``. The signature says which. Prefer chrF outside of English.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import regex

from engine.evaluation.predictions.measure import PredictionMeasure, Score, require_references
from engine.evaluation.predictions.pairs import TextPair
from engine.evaluation.predictions.words import UNSPACED

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

_LETTERS = regex.compile(r"\p{L}")
_HAN = regex.compile(r"\p{Han}")
_UNSPACED = regex.compile(f"[{UNSPACED}]")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")


class _Make(Protocol):
    def __call__(self, references: Sequence[str]) -> "Metric": ...


def tokenization(texts: Sequence[str]) -> str:
    """How sacrebleu shall cut these texts into words, by the script of most of their letters."""
    text = "\n".join(texts)
    letters, unspaced = len(_LETTERS.findall(text)), len(_UNSPACED.findall(text))
    if 2 * unspaced <= letters:
        return "13a"
    return "zh" if 2 * len(_HAN.findall(text)) > unspaced and not _KANA.search(text) else "char"


def _bleu(references: Sequence[str]) -> "Metric":
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=tokenization(references))


def _chrf(references: Sequence[str]) -> "Metric":
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def _chrf_with_words(references: Sequence[str]) -> "Metric":
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(word_order=2)


def _ter(references: Sequence[str]) -> "Metric":
    from sacrebleu.metrics.ter import TER

    return TER()


def _measure(name: str, make: _Make, *, is_default: bool = True) -> PredictionMeasure[TextPair]:
    def score(pairs: Sequence[TextPair]) -> Score:
        require_references(name, pairs)
        metric = make([reference for pair in pairs for reference in pair.references])
        most = max(len(pair.references) for pair in pairs)
        by_reference = [
            [pair.references[number] if number < len(pair.references) else None for pair in pairs]
            for number in range(most)
        ]
        found = metric.corpus_score([pair.prediction for pair in pairs], by_reference)
        return Score(found.score, str(metric.get_signature()))

    return PredictionMeasure(name, score, is_default)


BLEU_4 = _measure("bleu", _bleu)
CHRF_2 = _measure("chrf", _chrf)
CHRF_PLUS_PLUS = _measure("chrf++", _chrf_with_words, is_default=False)
TRANSLATION_EDIT_RATE = _measure("ter", _ter, is_default=False)
