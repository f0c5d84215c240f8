"""What computes a version in the server: the kernel where it can, else the family's own module."""

import torch

from engine.config import Quantization
from engine.models.base import Decoder, LanguageModel
from engine.native import program


def prepare(model: LanguageModel, device: torch.device, quantization: Quantization) -> Decoder:
    """The fastest decoder of these weights for a device; done anew for every version.

    A model on the device ``meta`` becomes a decoder there too: what it holds can be counted.
    """
    return program.make(model, device, quantization) or model
