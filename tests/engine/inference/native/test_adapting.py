"""An adapter beside a base in the kernel, against the adapter merged into it."""

import pytest
import torch
from torch import Tensor, nn

from engine.adapters import adapter as adapters
from engine.adapters.adapter import A, Adapter, B
from engine.adapters.config import AdapterConfig
from engine.config.inference import Quantization
from engine.families.table import FAMILIES
from engine.inference.native import decoder, kernel_family
from engine.inference.native.decoder import NativeDecoder
from engine.models import registry
from tests.engine.inference.native.models import NEAR, make, native, quantized, tokens

NAMES = ["thor", "thor-other", "thor-fused", "thor-scaled"]
pytestmark = pytest.mark.usefixtures("kernel")


def adapter_of(model: nn.Module, size: float, *, only: tuple[str, ...] = ("",)) -> Adapter:
    """For every map whose name ends so; ranks differ from map to map."""
    config = AdapterConfig(rank=5, alpha=10.0, rank_pattern={"k_proj": 2, "up_proj": 7})
    new, draw = adapters.new(model, config, seed=2), torch.Generator().manual_seed(4)
    chosen = {name for name in new.maps if name.endswith(only)}
    factors = {
        name: torch.randn(factor.shape, generator=draw) * size if name.endswith(B) else factor
        for name, factor in new.factors.items()
        if name.removesuffix(A).removesuffix(B) in chosen
    }
    return new.with_factors(factors)


def merged(model: nn.Module, adapter: Adapter) -> nn.Module:
    """In float32, unrounded; the model itself."""
    for name, part in registry.linear_maps(model.float()).items():
        if name in adapter.maps:
            part.weight.data += adapter.change(name)
    return model


def scores(built: NativeDecoder | nn.Module, rows: int = 2) -> Tensor:
    text, cache = tokens(rows, 40), built.make_cache(rows, 80)
    with torch.inference_mode():
        hidden_BTD = built.step(text, cache, torch.arange(rows), torch.zeros(rows, dtype=torch.long))
        return built.logits(hidden_BTD.flatten(0, 1)).float()


@pytest.mark.parametrize("only", [("",), ("q_proj", "v_proj", "up_proj")])
@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("name", NAMES)
def test_it_computes_what_the_merged_weights_do(name: str, dtype: torch.dtype, only: tuple[str, ...]) -> None:
    model = make(name, dtype)
    adapter = adapter_of(model, 0.3, only=only)
    beside = native(model).with_adapter(adapter)
    found, alone, true = scores(beside), scores(native(model)), scores(merged(make(name, dtype), adapter))
    assert (found - true).norm() < NEAR[dtype] * true.norm()
    assert (alone - true).norm() > 0.1 * true.norm()


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_beside_a_quantized_base_it_is_not_quantized(quantization: Quantization) -> None:
    model = make("thor-other", torch.float32)
    adapter = adapter_of(model, 0.3)
    found = scores(native(model, quantization).with_adapter(adapter))
    true = scores(merged(quantized(model, quantization), adapter))
    assert (found - true).norm() < 1e-3 * true.norm()


@pytest.mark.parametrize("dtype", NEAR)
def test_an_adapter_that_changes_nothing_gives_the_bits_of_its_base(dtype: torch.dtype) -> None:
    base = native(make("thor-other", dtype))
    beside = base.with_adapter(adapter_of(make("thor-other", dtype), 0.0))
    assert torch.equal(scores(beside), scores(base))


def test_no_number_depends_on_company_and_the_base_computes_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "_SECONDS_FOR_A_THREAD", 1e-9)
    model = make("thor-other", torch.bfloat16)
    base = native(model)
    before = scores(base)
    beside = base.with_adapter(adapter_of(model, 0.3))
    text, zeros = tokens(9, 40), torch.zeros(9, dtype=torch.long)
    with torch.inference_mode():
        whole = beside.step(text, beside.make_cache(9, 80), torch.arange(9), zeros)
        cache = beside.make_cache(9, 80)
        for place in range(40):
            alone = beside.step(text[4:5, place : place + 1], cache, torch.tensor([4]), torch.tensor([place]))
            assert torch.equal(alone[0, 0], whole[4, place])
    assert torch.equal(scores(base), before)


def test_weights_of_the_base_are_shared() -> None:
    model = make("thor", torch.bfloat16)
    base = native(model)
    beside = base.with_adapter(adapter_of(model, 0.3))
    own = {weight.data_ptr() for weight in beside.parameters()}
    assert {weight.data_ptr() for weight in base.parameters()} <= own


def test_what_goes_through_gelu_at_once_is_not_adapted() -> None:
    model = make("gpt2", torch.float32)
    with pytest.raises(ValueError, match=r"transformer\.h\.0\.mlp\.c_fc"):
        native(model).with_adapter(adapter_of(model, 0.3))
    families = {name: kernel_family.of(family) for name, family in FAMILIES.items()}
    assert {name: family.adapts for name, family in families.items() if family} == {"thor": True, "gpt2": False}
