"""Activations that are computed again give the gradients of those that were kept, and take less memory."""

import pytest
import torch

from engine.config.model import ModelSettings
from engine.models import registry
from engine.training import activation_checkpointing

SMALL = {
    "thor": {"hidden": 32, "heads": 4, "kv_heads": 2, "feed_forward": 64, "layers": 3},
    "gpt2": {"hidden": 32, "heads": 4, "layers": 3},
    "agiformer": {"hidden": 32, "heads": 4, "feed_forward": 64, "layers": 2, "thinking_steps": 2},
}


def gradients(family, which, dtype):
    settings = ModelSettings(family=family, preset="tiny", dropout=0.2, **SMALL[family])
    model = registry.build(settings, 264, seed=5)
    module = registry.module(model)
    activation_checkpointing.apply(registry.blocks(model), which)
    tokens = torch.randint(0, 264, (2, 24), generator=torch.Generator().manual_seed(1))
    documents = (torch.arange(24) >= 10).long().expand(2, -1)
    positions = torch.where(documents == 1, torch.arange(24) - 10, torch.arange(24))
    torch.manual_seed(9)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        hidden = model.hidden(tokens, positions, documents)
        model.logits(hidden.flatten(0, 1)).float().square().mean().backward()
    return {name: weight.grad for name, weight in module.named_parameters()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("which", ["full", "selective"])
@pytest.mark.parametrize("family", SMALL)
def test_gradients_are_the_same(family, which: str, dtype: torch.dtype) -> None:
    kept, again = gradients(family, "none", dtype), gradients(family, which, dtype)
    assert all(gradient is not None for gradient in kept.values())
    # a weight of thinking serves in every round; the gradients of the rounds are added up in float32 only if recomputed
    rounding = torch.finfo(dtype).eps if family == "agiformer" and dtype == torch.bfloat16 else 0.0
    for name, gradient in kept.items():
        largest = gradient.abs().max().item()
        torch.testing.assert_close(again[name], gradient, atol=4 * rounding * largest, rtol=rounding, msg=name)


def saved_bytes(which):
    """What autograd holds between the way forward and the way back, weights left out."""
    model = registry.build(ModelSettings(family="thor", preset="tiny", **SMALL["thor"] | {"layers": 6}), 264, seed=5)
    module = registry.module(model)
    activation_checkpointing.apply(registry.blocks(model), which)
    weights = {weight.data_ptr() for weight in module.parameters()}
    held = {}

    def pack(tensor):
        if tensor.data_ptr() not in weights:
            held[tensor.data_ptr()] = tensor.nbytes
        return tensor

    tokens = torch.zeros(4, 64, dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model.hidden(tokens, torch.arange(64).expand(4, -1), torch.zeros_like(tokens)).sum()
    del loss
    return sum(held.values())


def test_memory_falls() -> None:
    none, selective, full = (saved_bytes(which) for which in ("none", "selective", "full"))
    assert full < 0.3 * none
    assert 0.4 * none < selective < 0.7 * none


def test_measuring_computes_nothing_twice() -> None:
    model = registry.build(ModelSettings(family="thor", preset="tiny", **SMALL["thor"]), 264, seed=5)
    activation_checkpointing.apply(registry.blocks(model), "full")
    tokens = torch.zeros(1, 8, dtype=torch.long)
    plain = registry.build(ModelSettings(family="thor", preset="tiny", **SMALL["thor"]), 264, seed=5)
    with torch.no_grad():
        places = torch.arange(8)[None]
        assert torch.equal(model.hidden(tokens, places, tokens), plain.hidden(tokens, places, tokens))
    assert not model.hidden(tokens, places, tokens).is_leaf


def test_a_family_without_blocks_says_so() -> None:
    with pytest.raises(activation_checkpointing.NoBlocksError, match=r"training\.activation_checkpointing"):
        activation_checkpointing.apply([], "full")
