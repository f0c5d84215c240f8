import math

import numpy as np
import pytest

from engine.data.encoded import Encoded
from engine.evaluation.likelihood import Document
from engine.evaluation.measures.loss import LOSS
from engine.evaluation.measures.perplexity import PERPLEXITY
from engine.evaluation.results import Results
from engine.evaluation.unigram import Unigram


def document(ids: list[int], supervised: list[bool], size: int = 10) -> Document:
    return Document(Encoded(np.array(ids, np.int32), np.array(supervised, np.bool_)), size)


def test_it_is_the_share_of_each_token_with_one_added_to_every_count() -> None:
    training = [document([0, 1, 1, 2], [False, True, True, True]), document([0, 1, 4], [False, True, False])]
    found = Unigram(5, training).measure([document([0, 1, 3, 4], [False, True, True, False]), document([0], [False])])
    counts = {1: 3 + 1, 2: 1 + 1, 3: 0 + 1}
    total = 4 + 5
    assert found.nats_C[0] == pytest.approx(-math.log(counts[1] / total) - math.log(counts[3] / total))
    assert found.nats_C[1] == 0
    assert found.tokens_C.tolist() == [2, 0]
    assert found.bytes_C.tolist() == [10, 10]


def test_without_training_data_every_token_is_equally_likely() -> None:
    found = Results(Unigram(64, []).measure([document([0, 5, 9], [False, True, True])]))
    assert LOSS.value(found) == pytest.approx(math.log(64))
    assert PERPLEXITY.value(found) == pytest.approx(64)


def test_probabilities_sum_to_one() -> None:
    baseline = Unigram(20, [document(list(range(10)), [True] * 10), document([3] * 7, [True] * 7)])
    chances = [math.exp(-baseline.measure([document([token], [True])]).nats_C[0]) for token in range(20)]
    assert sum(chances) == pytest.approx(1.0)
