"""The trivial baseline that the first version must beat: how often each token was seen, and nothing of its context."""

from collections.abc import Iterable, Sequence

import numpy as np

from engine.evaluation.likelihood import Document, Floats, Likelihood


class Unigram:
    """Frequencies of supervised tokens with one added to each count (Laplace), so that none is impossible."""

    def __init__(self, vocabulary: int, training: Iterable[Document]) -> None:
        counts_V = np.ones(vocabulary)
        for document in training:
            np.add.at(counts_V, document.encoded.ids[document.encoded.supervised], 1)
        self._nats_V: Floats = np.log(counts_V.sum()) - np.log(counts_V)

    def measure(self, documents: Sequence[Document]) -> Likelihood:
        """The likelihood of the same tokens that a model is measured on."""
        chosen = [document.encoded.ids[document.encoded.supervised] for document in documents]
        return Likelihood(
            nats_C=np.array([self._nats_V[ids].sum() for ids in chosen]),
            tokens_C=np.array([len(ids) for ids in chosen], dtype=np.float64),
            bytes_C=np.array([document.size for document in documents], dtype=np.float64),
        )
