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
from engine.inference.native.decoder import NativeDecoder, Part
from engine.models import registry
from engine.models.attention import KeyValueCache
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


@pytest.mark.parametrize("quantization", ["none", "int8"])
@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("threads", [1, 3])
def test_versions_computed_together_get_what_each_gets_alone(
    dtype: torch.dtype, threads: int, quantization: Quantization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the base itself, adapters of all maps and of some, with prompts and single tokens, in turns of any order."""
    monkeypatch.setattr(decoder, "_SECONDS_FOR_A_THREAD", 1e-9)
    model = make("thor-other", dtype)
    base = native(model, quantization)
    strengths = (0.3, ("",)), (0.5, ("o_proj", "up_proj")), (0.2, ("q_proj",))
    versions = [base, *(base.with_adapter(adapter_of(model, size, only=only)) for size, only in strengths)]
    text, before = tokens(4, 3, 30), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        alone = [
            version.step(of_one, version.make_cache(3, 80), torch.arange(3), torch.zeros(3, dtype=torch.long))
            for version, of_one in zip(versions, text, strict=True)
        ]
        caches = [version.make_cache(3, 80) for version in versions]
        cuts = [0, 7, 8, 9, 30], [0, 1, 12, 13, 30], [0, 20, 21, 22, 30], [0, 2, 3, 20, 30]
        for turn in range(4):
            order = [(turn + place) % 4 for place in range(4)]
            spans = [(number, *cuts[number][turn : turn + 2]) for number in order]
            found = base.read([part(versions[n], caches[n], text[n, :, first:last], first) for n, first, last in spans])
            true = [alone[n][:, first:last].flatten(0, 1) for n, first, last in spans]
            assert torch.equal(found, torch.cat(true))
    finally:
        torch.set_num_threads(before)


def part(version: NativeDecoder, cache: KeyValueCache, text_BT: Tensor, first: int) -> Part:
    rows, length = text_BT.shape
    rows_M = torch.arange(rows).repeat_interleave(length)
    return Part(version, cache, text_BT.flatten(), rows_M, torch.arange(first, first + length).repeat(rows))


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
