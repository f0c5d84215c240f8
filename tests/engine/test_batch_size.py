"""Batch sizes by device, as Model Trainer documents them."""

import pytest

from engine.batch_size import recommended_batch_size, recommended_batch_size_for
from engine.families.table import FAMILIES


def test_small_batches_grow_on_a_gpu_alone() -> None:
    assert [recommended_batch_size(4, device) for device in ("cuda", "cpu")] == [8, 4]
    assert [recommended_batch_size(64, device) for device in ("cuda", "cpu")] == [64, 64]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_one(family: str) -> None:
    assert recommended_batch_size_for(family, 4, "cpu") == 4
    assert recommended_batch_size_for(family, 4, "cuda") == (32 if family == "char_lstm" else 8)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        recommended_batch_size(0, "cpu")
    with pytest.raises(ValueError, match="unknown family 'gpt5'; known: agiformer, char_lstm, gpt2, thor"):
        recommended_batch_size_for("gpt5", 4, "cpu")
