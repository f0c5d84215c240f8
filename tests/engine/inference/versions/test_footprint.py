"""What versions take, against closed forms."""

from pathlib import Path

import pytest
import torch

from engine import version
from engine.config.model import ModelSettings
from engine.device import Placement
from engine.inference.versions import footprint
from engine.inference.versions.loaded_model import LoadedModel
from engine.manifest import Lineage
from engine.models import registry
from engine.tokenizers.base import Tokenizer

FAMILIES = {
    "thor": ModelSettings(hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=64, context=96),
    "gpt2": ModelSettings(family="gpt2", hidden=32, layers=2, heads=4, context=96),
    "char_lstm": ModelSettings(family="char_lstm", hidden=32, layers=2, context=96),
    "agiformer": ModelSettings(family="agiformer", hidden=32, layers=2, heads=4, feed_forward=64, context=96),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_foretold_is_what_is_taken(
    family: str, dtype: torch.dtype, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    settings = FAMILIES[family]
    model = registry.module(registry.build(settings, tokenizer.vocabulary, seed=1))
    provenance = Lineage(1, None, 1, "0" * 64, 1, {}, 0.0, {})
    version.publish(tmp_path / "000001", model.state_dict(), settings, tokenizer, provenance)
    placement = Placement(torch.device("cpu"), dtype)
    loaded = version.load(tmp_path / "000001", placement)
    loaded = LoadedModel(loaded, rows=3, model=loaded.model)
    weights = registry.parameter_count(settings, tokenizer.vocabulary) * dtype.itemsize
    empty = loaded.bytes
    assert loaded.weight_bytes == weights
    assert empty == weights + (0 if family != "char_lstm" else loaded.cache.held_bytes)
    for row in range(3):
        loaded.rows.take([1], 96, reuse=False)
        tokens_BT = torch.full((1, 96), 9)
        with torch.inference_mode():
            loaded.model.step(tokens_BT, loaded.cache, torch.tensor([row]), torch.tensor([0]))
    assert footprint.needed(tmp_path / "000001", placement, rows=3, quantization="none") == loaded.bytes
    if family in ("thor", "gpt2"):
        kv_heads = 2 if family == "thor" else 4
        whole_pages = 128
        cache = 2 * 3 * settings.layers * kv_heads * (32 // 4) * whole_pages * dtype.itemsize
        assert loaded.bytes == weights + cache
    for row in range(3):
        loaded.rows.give_back(row)
    assert loaded.bytes == empty


@pytest.mark.parametrize(("rows", "context", "positions"), [(16, 8192, 16 * 512), (4, 8192, 8192), (3, 100, 3 * 128)])
def test_ordinary_use_is_planned_for_not_every_row_at_full_length(rows: int, context: int, positions: int) -> None:
    settings = ModelSettings(hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=64, context=context)
    placement = Placement(torch.device("cpu"), torch.float32)
    weights = registry.parameter_count(settings, 300) * 4
    planned = footprint.of_model(settings, 300, placement, rows, "none")
    assert planned == weights + positions * 2 * settings.layers * 2 * (32 // 4) * 4


def test_a_limit_counts_only_what_versions_hold() -> None:
    device = torch.device("cpu")
    assert footprint.free(device, limit=1000, held=400) == 600
    assert footprint.free(device, limit=1000, held=1400) == -400
    assert footprint.free(device, limit=0, held=400) > 1 << 20
    assert footprint.free(device, limit=1 << 60, held=0) < 1 << 50
