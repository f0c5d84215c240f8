"""Which decoder computes a version in the server: the kernel where it can, else the family's own module."""

import functools
import logging

import torch

from engine.adapters import network
from engine.adapters.adapter import Adapter
from engine.config.inference import Quantization
from engine.config.model import ModelSettings
from engine.device import Placement
from engine.families.table import FAMILIES
from engine.inference.native import decoder, kernel_family
from engine.inference.native.decoder import NativeDecoder
from engine.inference.native.kernel_family import NotComputedError
from engine.models import registry
from engine.models.base import Decoder, LanguageModel

_logger = logging.getLogger(__name__)


def prepare(model: LanguageModel, device: torch.device, quantization: Quantization) -> Decoder:
    """The fastest decoder of these weights for a device; done anew for every version.

    A model on the device ``meta`` becomes a decoder there too: what it holds can be counted.
    """
    lacking = "quantized weights need a CPU, the kernel (python -m engine.native.build), and a thor or gpt2"
    found = None
    try:
        found = decoder.make(model, device, quantization)
    except NotComputedError as error:
        lacking = str(error)
        if next(model.parameters()).device.type != "meta":
            _logger.info("%s: torch computes this version", lacking)
    if found is None and quantization != "none":
        _logger.warning("inference.quantization = '%s' has no effect: %s", quantization, lacking)
    return found or model


def adapts(settings: ModelSettings, placement: Placement) -> bool:
    """Whether `with_adapter` works for such a model there."""
    family = kernel_family.of(FAMILIES[settings.family])
    if placement.device.type == "cpu" and decoder.serves(settings) and family is not None:
        return family.adapts
    return FAMILIES[settings.family].adaptable


def quantizes(settings: ModelSettings, device: torch.device, quantization: Quantization) -> bool:
    """Whether the weights of such a model are quantized there."""
    return quantization != "none" and device.type == "cpu" and decoder.serves(settings)


def with_adapter(base: Decoder, adapter: Adapter, settings: ModelSettings) -> Decoder:
    """A decoder that computes an adapter beside the weights of ``base``, and shares them.

    Raises:
        ValueError: the model is not one for which `adapts` holds.
    """
    if isinstance(base, NativeDecoder):
        return base.with_adapter(adapter)
    if not isinstance(base, LanguageModel):
        raise ValueError(f"a {type(base).__name__} takes no adapter")  # noqa: TRY004 - as the kernel says it
    model = registry.skeleton(settings, base.vocabulary)
    registry.fill(model, registry.module(base).state_dict())
    like = next(base.parameters())
    factors = {name: factor.to(like.device, like.dtype) for name, factor in adapter.factors.items()}
    network.attach(model, adapter.with_factors(factors))
    registry.module(model).eval().requires_grad_(False)
    return model


def release_workspace(decoder: Decoder) -> None:
    """Give back what the kernel took in this thread to compute in, if it computes this version."""
    if isinstance(decoder, NativeDecoder):
        decoder.release_workspace()


def bytes_of_adapter(base: Decoder, adapter: Adapter) -> int:
    """Bytes that `with_adapter` takes beside the base; both may be on the device ``meta``."""
    if isinstance(base, NativeDecoder):
        return base.bytes_of(adapter)
    return sum(factor.numel() for factor in adapter.factors.values()) * next(base.parameters()).dtype.itemsize


@functools.lru_cache(maxsize=4)
def skeleton(settings: ModelSettings, vocabulary: int, placement: Placement, quantization: Quantization) -> Decoder:
    """The decoder that such a model would get there, without storage (device ``meta``): to be counted.

    The last ones are remembered, for versions of one base are alike.
    """
    model = registry.skeleton(settings, vocabulary)
    registry.module(model).to(placement.dtype)
    return prepare(model, placement.device, quantization)


def round_weights(model: LanguageModel, quantization: Quantization) -> bool:
    """Have a module compute with the weights that a quantized decoder would, to measure what that costs.

    False: such versions, or those on its device, are never quantized, or it has an adapter beside its base, of which
    no more than the base is.
    """
    if any(isinstance(part, network.AdaptedMap) for part in registry.module(model).modules()):
        return False
    on_cpu = next(model.parameters()).device.type == "cpu"
    family = kernel_family.of(model.family)
    if quantization == "none" or not on_cpu or family is None or family.lacks(model.shape):
        return False
    kernel_family.round_weights(model, family, quantization)
    return True
