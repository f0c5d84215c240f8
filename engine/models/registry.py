"""Families by name: build a model, build its mere shape, or count its parameters."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engine.config.model import ModelSettings
from engine.config.shapes import AgiformerShape, CharLstmShape, Gpt2Shape
from engine.models.agiformer import Agiformer
from engine.models.base import LanguageModel
from engine.models.char_lstm import CharLstm
from engine.models.gpt2 import Gpt2
from engine.models.thor import Thor


def build(settings: ModelSettings, vocabulary: int, seed: int) -> LanguageModel:
    """A new model on the CPU, in float32, its weights drawn from ``seed``."""
    model = _empty(settings, vocabulary)
    model.initialise(torch.Generator().manual_seed(seed))
    return model


def skeleton(settings: ModelSettings, vocabulary: int) -> LanguageModel:
    """Names and shapes without storage (device ``meta``): to be filled with `fill`, or counted."""
    with torch.device("meta"):
        return _empty(settings, vocabulary)


def fill(model: LanguageModel, weights: Mapping[str, Tensor]) -> None:
    """Make ``weights`` the model's own tensors, without a copy, but for those of an LSTM on a GPU.

    Raises:
        RuntimeError: a name or a shape does not fit.
    """
    module(model).load_state_dict(weights, assign=True)
    for part in module(model).modules():
        if isinstance(part, nn.RNNBase):
            part.flatten_parameters()  # cuDNN wants them side by side, or copies them there in every call


def parameter_count(settings: ModelSettings, vocabulary: int) -> int:
    """The true number of parameters; tied weights count once."""
    return sum(weight.numel() for weight in skeleton(settings, vocabulary).parameters())


def module(model: LanguageModel) -> nn.Module:
    """The model as the `torch.nn.Module` it is.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"{type(model).__name__} is no torch.nn.Module")
    return model


def _empty(settings: ModelSettings, vocabulary: int) -> Thor | Gpt2 | CharLstm | Agiformer:
    """A module of the family whose weights are yet to be drawn."""
    match settings.shape:
        case Gpt2Shape() as shape:
            return Gpt2(shape, vocabulary, settings.dropout)
        case CharLstmShape() as shape:
            return CharLstm(shape, vocabulary, settings.dropout)
        case AgiformerShape() as shape:
            return Agiformer(shape, vocabulary, settings.dropout)
        case shape:
            return Thor(shape, vocabulary, settings.dropout)
