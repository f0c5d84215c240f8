"""Packing and batches: every supervised target exactly once, documents apart, order from seed and step only."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.model import ModelSettings
from engine.data import shard
from engine.data.batches import Rows
from engine.data.encoded import Encoded
from engine.data.packing import best_fit, evenly, pack
from engine.models import registry

DOCUMENTS = st.lists(
    st.lists(st.booleans(), min_size=1, max_size=60).map(lambda learned: [False, *learned]), min_size=1, max_size=20
)


def encoded(masks):
    """Documents whose every token is unlike any other."""
    first, documents = 0, []
    for mask in masks:
        documents.append(Encoded(np.arange(first, first + len(mask), dtype=np.int32), np.array(mask, np.bool_)))
        first += len(mask)
    return documents


@given(DOCUMENTS, st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_every_supervised_target_is_learned_once_from_what_precedes_it(tmp_path_factory, masks, length):
    documents = encoded(masks)
    rows = Rows(shard.write(tmp_path_factory.mktemp("shard") / "shard", documents), length)
    seen = []
    for batch in rows.in_order(3):
        learned = batch.supervised_BT
        seen += batch.targets_BT[learned].tolist()
        assert torch.equal(batch.tokens_BT[learned] + 1, batch.targets_BT[learned])
        assert batch.supervised == int(learned.sum())
        assert batch.tokens_BT.shape[1] <= length
    expected = [
        token for document in documents for token, mask in zip(document.ids, document.supervised, strict=True) if mask
    ]
    assert sorted(seen) == expected
    assert rows.supervised == len(expected)


@given(DOCUMENTS, st.integers(4, 40))
@settings(max_examples=60, deadline=None)
def test_positions_and_documents_say_where_each_token_comes_from(tmp_path_factory, masks, length):
    documents = encoded(masks)
    owner = {token: number for number, document in enumerate(documents) for token in document.ids}
    rows = Rows(shard.write(tmp_path_factory.mktemp("shard") / "shard", documents), length)
    for batch in rows.in_order(2):
        for tokens, positions, numbers, learned in zip(
            batch.tokens_BT, batch.positions_BT, batch.documents_BT, batch.supervised_BT, strict=True
        ):
            for at in np.flatnonzero(learned.numpy()):
                context = [i for i in range(at + 1) if numbers[i] == numbers[at]]
                assert {owner[int(tokens[i])] for i in context} == {owner[int(tokens[at])]}
                assert [int(positions[i]) for i in context] == list(range(len(context)))


@given(st.lists(st.integers(1, 50), max_size=80))
def test_best_fit_wastes_no_row(lengths):
    rows = best_fit(lengths, 50)
    assert sorted(piece for row in rows for piece in row) == list(range(len(lengths)))
    filled = [sum(lengths[piece] for piece in row) for row in rows]
    assert all(total <= 50 for total in filled)
    assert len(rows) <= max(1, 1 + 2 * sum(lengths) // 50)  # no two rows could be one
    assert best_fit(lengths, 50) == rows


def test_best_fit_takes_the_tightest_room():
    assert best_fit([6, 5, 4, 3, 2], 10) == [[0, 2], [1, 3, 4]]
    assert best_fit([7, 6, 3], 10) == [[0, 2], [1]]


def test_a_long_document_is_cut_into_pieces_that_lose_no_target(tmp_path):
    document = Encoded(np.arange(100, dtype=np.int32), np.arange(100) > 0)
    packed = pack(shard.write(tmp_path / "shard", [document]), 32)
    assert sorted(zip(packed.starts.tolist(), packed.lengths.tolist(), strict=True)) == [
        (0, 32),
        (32, 32),
        (64, 32),
        (96, 3),
    ]


def test_each_epoch_is_a_permutation_and_depends_on_seed_and_step_only(tmp_path):
    documents = encoded([[False] + [True] * 7] * 12)
    rows = Rows(shard.write(tmp_path / "shard", documents), 7)
    assert len(rows) == 12

    def firsts(step, seed):
        return [int(token) for batch in rows.of_step(step, seed, 4, 2) for token in batch.tokens_BT[:, 0]]

    epochs = [[token for step in range(first, first + 3) for token in firsts(step, 1)] for first in (0, 3)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == [document.ids[0] for document in documents]
    assert epochs[0] != epochs[1]
    assert firsts(4, 1) == firsts(4, 1) != firsts(4, 2)


def test_a_shard_is_written_once(tmp_path):
    shard.write(tmp_path / "shard", encoded([[False, True]]))
    assert len(shard.write(tmp_path / "shard", encoded([[False, True]] * 5))) == 1


@torch.no_grad()
def test_packed_rows_give_each_document_what_it_gets_alone(tmp_path):
    shape = {"preset": "tiny", "hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "feed_forward": 48, "context": 64}
    model = registry.build(ModelSettings.model_validate(shape), 60, seed=0).eval()
    documents = encoded([[False] + [True] * n for n in (5, 17, 9, 25)])
    rows = Rows(shard.write(tmp_path / "shard", documents), 64)
    assert len(rows) == 1
    batch = rows.batch([0])
    packed = model.hidden(batch.tokens_BT, batch.positions_BT, batch.documents_BT)[0]
    for document in documents:
        ids = torch.tensor(document.ids[:-1], dtype=torch.long)[None]
        alone = model.hidden(ids, torch.arange(ids.shape[1])[None], torch.zeros_like(ids))[0]
        start = int((batch.tokens_BT[0] == document.ids[0]).nonzero()[0])
        torch.testing.assert_close(packed[start : start + len(alone)], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("masks", [[], [[False, False]]])
def test_nothing_supervised_gives_no_rows(tmp_path, masks):
    assert len(Rows(shard.write(tmp_path / "shard", encoded(masks)), 8)) == 0


def test_a_corpus_larger_than_memory_may_pass_through(tmp_path):
    """Two million tokens in 100 documents, of which one at a time is held."""
    documents = (Encoded(np.arange(20_000, dtype=np.int32), np.arange(20_000) > 0) for _ in range(100))
    tracemalloc.start()
    try:
        written = shard.write(tmp_path / "shard", documents)
        rows = Rows(written, 512)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(written) == 100
    assert rows.supervised == 100 * 19_999
    assert peak < 4 << 20


def test_rows_are_as_short_as_their_number_allows():
    assert evenly([3, 3, 3, 3], 10) == [[0, 1], [2, 3]]
    assert evenly([9, 3, 2], 10) == [[0], [1, 2]]
    assert evenly([], 10) == []
    lengths = [1 + 7 * n % 23 for n in range(40)]
    rows = evenly(lengths, 50)
    assert sorted(piece for row in rows for piece in row) == list(range(40))
    assert len(rows) == len(best_fit(lengths, 50))
    longest = max(sum(lengths[piece] for piece in row) for row in rows)
    assert len(best_fit(lengths, longest - 1)) > len(rows)
