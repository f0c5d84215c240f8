"""Bits per byte: what a version would need to compress what it is to say. Comparable across tokenizers."""

import math

from engine.evaluation.measures.measure import CONVERSATIONS, Measure, Terms
from engine.evaluation.results import Results


def _terms(results: Results) -> Terms:
    return Terms(results.likelihood.nats_C, results.likelihood.bytes_C, unit=math.log(2))


BITS_PER_BYTE = Measure("bits_per_byte", "bits per byte", "lower", CONVERSATIONS, _terms)
