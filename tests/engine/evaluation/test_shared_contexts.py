"""Documents that begin alike, against each of them measured alone."""

import numpy as np
import pytest
import torch

from engine.config.model import ModelSettings
from engine.data.encoded import Encoded
from engine.evaluation.likelihood import Document, measure
from engine.evaluation.shared_contexts import Group, groups
from engine.models import registry

VOCABULARY = 264
FAMILIES = {
    "thor": ModelSettings(preset="tiny", hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=64, context=96),
    "gpt2": ModelSettings(family="gpt2", preset="tiny", hidden=32, layers=2, heads=4, context=96),
    "agiformer": ModelSettings(
        family="agiformer", preset="tiny", hidden=32, layers=1, heads=4, feed_forward=64, context=96
    ),
    "char_lstm": ModelSettings(family="char_lstm", preset="tiny", hidden=32, context=96),
}


def document(context: list[int], rest: list[int]) -> Encoded:
    ids = np.array(context + rest, np.int32)
    return Encoded(ids, np.arange(len(ids)) >= len(context))


def choices(contexts: int, each: int) -> list[Encoded]:
    """Of every context several continuations, of all lengths, in no order."""
    draws = np.random.default_rng(3)
    found = []
    for _ in range(contexts):
        context = draws.integers(0, 250, draws.integers(20, 60)).tolist()
        found += [document(context, draws.integers(0, 250, draws.integers(1, 30)).tolist()) for _ in range(each)]
    return [found[at] for at in draws.permutation(len(found))]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_document_is_as_likely_as_alone(family: str) -> None:
    model = registry.build(FAMILIES[family], VOCABULARY, seed=1)
    registry.module(model).eval()
    documents = [Document(each, 1) for each in choices(contexts=5, each=3)]
    told: list[tuple[int, int]] = []
    together = measure(
        model, documents, length=90, batch_size=1, advance=lambda done, total: told.append((done, total))
    )
    alone = [measure(model, [each], length=90, batch_size=1).nats_C[0] for each in documents]
    assert together.nats_C == pytest.approx(alone, rel=1e-5, abs=1e-4)
    assert told[-1] == (15, 15)


def test_a_context_is_read_once() -> None:
    model = registry.build(FAMILIES["thor"], VOCABULARY, seed=1)
    documents = choices(contexts=5, each=4)
    embedded: list[int] = []
    registry.module(model).eval().get_submodule("model.layers.0").register_forward_pre_hook(
        lambda _, given: embedded.append(given[0][..., 0].numel())
    )
    with torch.no_grad():
        measure(model, [Document(each, 1) for each in documents], length=90, batch_size=8)
    separately = sum(len(each.ids) - 1 for each in documents)
    assert sum(embedded) < 0.75 * separately  # of short continuations, much is padding


def test_only_what_is_not_scored_is_shared() -> None:
    same = list(range(40))
    documents = [document(same, [50, 51]), document(same[:30], [30, 31, 32, 99]), document([7, 8], [9])]
    assert groups(documents, 90) == [Group((0, 1), 29)]


def test_documents_that_begin_each_their_own_way_are_left_alone() -> None:
    assert groups([document([at, *range(40)], [1, 2]) for at in range(50, 60)], 90) == []


def test_what_is_longer_than_a_window_is_left_alone() -> None:
    long = [document(list(range(80)), list(range(20))), document(list(range(80)), list(range(5, 25)))]
    assert groups(long, 64) == []
    assert groups(long, 100) == [Group((0, 1), 79)]
