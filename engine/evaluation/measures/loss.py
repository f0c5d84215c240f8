"""The loss: cross-entropy in nats a token, as in training. Comparable only under one tokenizer."""

from engine.evaluation.measures.measure import CONVERSATIONS, Measure, Terms
from engine.evaluation.results import Results


def _terms(results: Results) -> Terms:
    return Terms(results.likelihood.nats_C, results.likelihood.tokens_C)


LOSS = Measure("loss", "nats per token", "lower", CONVERSATIONS, _terms)
