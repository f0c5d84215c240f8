"""The first phase of a swap, for every family: what computes is loaded, what computes nonsense is refused."""

from pathlib import Path

import pytest
import torch

from engine import version
from engine.device import Placement
from engine.inference.versions import preparing
from engine.inference.versions.preparing import UnfitVersionError
from engine.manifest import Lineage
from engine.models import registry
from engine.tokenizers.base import Tokenizer
from tests.engine.inference.versions.test_footprint import FAMILIES

PLACEMENT = Placement(torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_loaded_and_one_that_computes_nonsense_is_not(
    family: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    weights = registry.module(registry.build(FAMILIES[family], tokenizer.vocabulary, seed=1)).state_dict()
    provenance = Lineage(1, None, 1, "0" * 64, 1, {}, 0.0, {})
    version.publish(tmp_path / "000001", weights, FAMILIES[family], tokenizer, provenance)
    assert preparing.load(tmp_path / "000001", PLACEMENT, rows=9).version == 1

    for name, weight in weights.items():
        if family == "char_lstm" or (".1." in name and weight.ndim > 1):
            weight.fill_(3e38)  # finite, but not what comes of it
    version.publish(
        tmp_path / "000002", weights, FAMILIES[family], tokenizer, Lineage(2, None, 1, "0" * 64, 1, {}, 0.0, {})
    )
    with pytest.raises(UnfitVersionError, match="NaN or infinite"):
        preparing.load(tmp_path / "000002", PLACEMENT, rows=9)
