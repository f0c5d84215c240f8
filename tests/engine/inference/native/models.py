"""Small models of the families that the kernel computes, and their decoders."""

import copy

import torch
from torch import Tensor, nn

from engine.config.inference import Quantization
from engine.config.model import ModelSettings
from engine.inference.native import decoder
from engine.inference.native.decoder import NativeDecoder
from engine.models import registry
from engine.models.quantized import rounded

VOCABULARY = 403  # no multiple of 16
DECODER = {"hidden": 96, "layers": 2, "heads": 6, "context": 80}
THOR = {**DECODER, "kv_heads": 3, "feed_forward": 136}
MODELS = {
    "gpt2": {"family": "gpt2", **DECODER},
    "thor": THOR,
    "thor-other": {**THOR, "head_width": 32, "tied": False, "qkv_bias": True, "qk_norm": True, "window": 9},
    "thor-fused": {**THOR, "projections": "fused", "nope_interval": 2, "window": 9, "global_interval": 2},
    "thor-scaled": {**THOR, "embedding_multiplier": 3.0, "residual_multiplier": 0.3}
    | {"attention_multiplier": 0.1, "logits_divisor": 5.0},
    "thor-stretched": {**THOR, "rope_scaling": "yarn", "rope_factor": 4.0, "rope_trained": 40},
}
NEAR = {torch.float32: 1e-5, torch.bfloat16: 3e-2}  # of a whole model, relative
CPU = torch.device("cpu")


def make(name: str, dtype: torch.dtype) -> nn.Module:
    """Far from the initial values, so that every part matters."""
    made = registry.module(registry.build(ModelSettings.model_validate(MODELS[name]), VOCABULARY, seed=1))
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())) * 0.1)
    return made.to(dtype).eval().requires_grad_(requires_grad=False)


def quantized(model: nn.Module, quantization: Quantization) -> nn.Module:
    """The same in float32, its matrices replaced by what their quantized form stands for."""
    plain = copy.deepcopy(model).float()
    for name, weight in plain.named_parameters():
        if weight.ndim == 2 and "wpe" not in name:
            lies_across = ".h." in name
            matrix = rounded(weight.data.t() if lies_across else weight.data, quantization)
            weight.data = matrix.t() if lies_across else matrix
    return plain


def tokens(*shape: int) -> Tensor:
    return torch.randint(0, VOCABULARY, shape, generator=torch.Generator().manual_seed(3))


def native(model: nn.Module, quantization: Quantization = "none") -> NativeDecoder:
    found = decoder.make(model, CPU, quantization)
    assert found is not None
    return found
