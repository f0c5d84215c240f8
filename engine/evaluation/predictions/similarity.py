"""Similarity by meaning: each token finds the most similar one in the other text, by an encoder's hidden states.

BERTScore without baseline and without idf (Zhang et al., 2020, https://arxiv.org/abs/1904.09675): precision is the mean
over the prediction's tokens of the largest cosine to a token of the reference, recall the same the other way around.
Special tokens do not count. The best reference counts, by F1.
"""

from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.predictions.measure import Score, UnmeasurableError
from engine.evaluation.predictions.pairs import TextPair

SIMILARITY = "similarity"
"""The name of the measure. It needs an encoder, so it is in no table."""
States = NDArray[np.float32]
Encode = Callable[[Sequence[str]], list[States]]
"""Hidden states of the tokens of each text, without special tokens: T tokens by D dimensions."""


def match(prediction_TD: States, reference_SD: States) -> tuple[float, float, float]:
    """Precision, recall and F1 by greedy matching; all 0 where a text has no token."""
    if not len(prediction_TD) or not len(reference_SD):
        return 0.0, 0.0, 0.0
    cosines_TS = _unit(prediction_TD) @ _unit(reference_SD).T
    precision, recall = float(cosines_TS.max(axis=1).mean()), float(cosines_TS.max(axis=0).mean())
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both > 0 else 0.0


def similarity(pairs: Sequence[TextPair], encode: Encode, encoder: str) -> Score:
    """The mean F1 of all pairs, with mean precision and recall; ``encoder`` identifies it in the signature.

    Raises:
        UnmeasurableError: a pair has no reference.
    """
    for number, pair in enumerate(pairs, 1):
        if not pair.references:
            raise UnmeasurableError(
                f"{SIMILARITY} needs a reference text for every prediction; number {number} has none"
            )
    texts = sorted({text for pair in pairs for text in (pair.prediction, *pair.references)})
    states = dict(zip(texts, encode(texts), strict=True))
    found = [
        max((match(states[pair.prediction], states[text]) for text in pair.references), key=lambda one: one[2])
        for pair in pairs
    ]
    precision, recall, f1 = (fmean(one[place] for one in found) for place in range(3))
    return Score(f1, f"encoder:{encoder}|layer:last|idf:no|baseline:no", {"precision": precision, "recall": recall})


def _unit(states_TD: States) -> States:
    lengths_T1 = np.linalg.norm(states_TD, axis=1, keepdims=True)
    unit_TD: States = states_TD / np.maximum(lengths_T1, 1e-12)
    return unit_TD
