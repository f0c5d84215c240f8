"""A frozen base with an adapter beside its maps, against the same computed plainly."""

import pytest
import torch
import torch.nn.functional as F

from engine.adapters import adapter as adapters
from engine.adapters import network
from engine.adapters.adapter import A, B
from engine.adapters.config import AdapterConfig
from engine.adapters.network import FrozenBase
from engine.config.inference import Quantization
from engine.config.model import ModelSettings
from engine.models import registry
from engine.models.quantized import QuantizedMatrix

FAMILIES = {
    "thor": ModelSettings(
        preset="tiny", hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=64, context=64, qkv_bias=True
    ),
    "gpt2": ModelSettings(family="gpt2", preset="tiny", hidden=32, layers=2, heads=4, context=64),
    "agiformer": ModelSettings(
        family="agiformer", preset="tiny", hidden=32, layers=1, heads=4, feed_forward=64, context=64, dropout=0.0
    ),
}
VOCABULARY = 264


def adapted(family, *, moved: bool):
    """A model, a twin of its base, and the adapter beside the one."""
    model, base = (registry.build(FAMILIES[family], VOCABULARY, seed=3) for _ in range(2))
    adapter = adapters.new(model, AdapterConfig(rank=3, alpha=6.0), seed=5)
    if moved:
        draw = torch.Generator().manual_seed(7)
        factors = {
            name: torch.randn(factor.shape, generator=draw) * 0.1 if name.endswith(B) else factor
            for name, factor in adapter.factors.items()
        }
        adapter = adapter.with_factors(factors)
    network.attach(model, adapter)
    return model, base, adapter


def hidden(model):
    tokens_BT = torch.arange(2 * 32).view(2, 32) % 256
    positions_BT = torch.arange(32).expand(2, 32)
    return model.hidden(tokens_BT, positions_BT, torch.zeros(2, 32, dtype=torch.long))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_adapter_changes_no_bit(family: str) -> None:
    model, base, _ = adapted(family, moved=False)
    with torch.no_grad():
        assert torch.equal(hidden(model), hidden(base))


@pytest.mark.parametrize("family", FAMILIES)
def test_it_computes_what_the_changed_matrices_would(family: str) -> None:
    model, base, adapter = adapted(family, moved=True)
    maps = registry.linear_maps(base)
    with torch.no_grad():
        for name in adapter.maps:
            change_NK = adapter.scale(name) * adapter.factors[name + B] @ adapter.factors[name + A]
            maps[name].weight += change_NK.t() if maps[name].across else change_NK
        torch.testing.assert_close(hidden(model), hidden(base), atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("quantization", ["int8", "int4"])
@pytest.mark.parametrize("family", FAMILIES)
def test_beside_a_quantized_base_it_learns_what_it_would_beside_the_rounded_one(
    family: str, quantization: Quantization
) -> None:
    _, base, adapter = adapted(family, moved=True)
    weights = registry.module(base).state_dict()
    model, plain = (registry.skeleton(FAMILIES[family], VOCABULARY) for _ in range(2))
    cpu = torch.device("cpu")
    FrozenBase(model, weights, adapter.maps, cpu, torch.float32, quantization).under(model, adapter)
    FrozenBase(plain, weights, (), cpu, torch.float32, quantization).under(plain, adapter)
    assert not any(
        torch.equal(value, weights[name])
        for name, value in registry.module(plain).state_dict().items()
        if name in weights and value.ndim == 2
    )
    for each in (model, plain):
        hidden(each).square().sum().backward()
    with torch.no_grad():
        torch.testing.assert_close(hidden(model), hidden(plain), atol=2e-5, rtol=2e-5)
    true = dict(registry.module(plain).named_parameters())
    for name, factor in registry.module(model).named_parameters():
        if factor.requires_grad:
            torch.testing.assert_close(factor.grad, true[name].grad, atol=1e-3, rtol=1e-4)


def test_a_quantized_base_takes_a_byte_or_half_of_one_a_weight_and_a_sixteenth() -> None:
    matrix_NK = torch.randn(96, 64)
    assert QuantizedMatrix(matrix_NK, "int8").nbytes == 96 * 64 * (1 + 1 / 16)
    assert QuantizedMatrix(matrix_NK, "int4").nbytes == 96 * 64 * (1 / 2 + 1 / 16)


def test_every_map_of_every_block_has_one_and_nothing_else_learns() -> None:
    model, base, adapter = adapted("thor", moved=True)
    kinds = {name.rpartition(".")[2] for name in adapter.maps}
    assert kinds == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert len(adapter.maps) == 2 * 7
    learning = {name for name, weight in registry.module(model).named_parameters() if weight.requires_grad}
    assert learning == set(adapter.factors)
    kept = {name: weight for name, weight in registry.module(model).named_parameters() if name not in learning}
    for name, weight in registry.module(base).named_parameters():
        assert torch.equal(kept[name], weight)


def test_what_is_cheap_to_make_is_not_kept_for_the_way_back() -> None:
    """Of a block its two inputs, queries, keys and values, what they mix to, and the two halves of the feed-forward."""
    model, _, _ = adapted("thor", moved=True)
    wide = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: wide.append(x) or x, lambda x: x):
        hidden(model).sum()
    positions, shape = 2 * 32, FAMILIES["thor"].shape
    kept = {
        x.data_ptr(): x.numel() for x in wide if x.numel() >= positions * 8 and not isinstance(x, torch.nn.Parameter)
    }
    of_block = 2 * shape.hidden + shape.hidden + 2 * 16 + shape.hidden + 2 * shape.feed_forward
    turns_and_last = 2 * 8 + 2 * shape.hidden
    assert sum(kept.values()) <= positions * (2 * of_block + turns_and_last)


def test_gradients_are_those_of_the_two_products() -> None:
    torch.manual_seed(0)
    model, _, adapter = adapted("thor", moved=True)
    name = "model.layers.1.mlp.down_proj"
    adapted_map = registry.linear_maps(model)[name]
    x = torch.randn(2, 5, 64, requires_grad=True)
    weight = torch.randn(2, 5, 32)
    (adapted_map(x) * weight).sum().backward()
    parameters = dict(adapted_map.named_parameters())
    a, b = (adapter.factors[name + part].clone().requires_grad_() for part in (A, B))
    again = x.detach().clone().requires_grad_()
    out = F.linear(again, adapted_map.weight) + 2.0 * F.linear(F.linear(again, a), b)
    (out * weight).sum().backward()
    for found, expected in ((x.grad, again.grad), (parameters["lora_A.weight"].grad, a.grad)):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(parameters["lora_B.weight"].grad, b.grad, atol=1e-4, rtol=1e-4)
    assert adapted_map.weight.grad is None
