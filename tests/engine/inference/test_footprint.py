"""What versions take, against closed forms."""

from pathlib import Path

import pytest
import torch

from engine import version
from engine.config import ModelSettings
from engine.device import Placement
from engine.inference import footprint
from engine.inference.slots import Resident
from engine.models import registry
from engine.tokenizers.base import Tokenizer
from engine.version import Provenance

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
    provenance = Provenance(1, None, 1, "0" * 64, 1, {}, 0.0, {})
    version.publish(tmp_path / "000001", model.state_dict(), settings, tokenizer, provenance)
    placement = Placement(torch.device("cpu"), dtype)
    loaded = version.load(tmp_path / "000001", placement)
    resident = Resident(loaded, rows=3, model=loaded.model)
    assert footprint.needed(tmp_path / "000001", placement, rows=3, quantization="none") == resident.bytes
    weights = registry.parameter_count(settings, tokenizer.vocabulary) * dtype.itemsize
    assert resident.bytes > weights
    if family in ("thor", "gpt2"):
        kv_heads = 2 if family == "thor" else 4
        cache = 2 * 4 * settings.layers * kv_heads * (32 // 4) * 96 * dtype.itemsize
        assert resident.bytes == weights + cache


def test_a_limit_counts_only_what_versions_hold() -> None:
    device = torch.device("cpu")
    assert footprint.free(device, limit=1000, held=400) == 600
    assert footprint.free(device, limit=1000, held=1400) == -400
    assert footprint.free(device, limit=0, held=400) > 1 << 20
    assert footprint.free(device, limit=1 << 60, held=0) < 1 << 50
