"""Families by name: build a model, build its mere shape, or count its parameters."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engine.config.model import ModelSettings
from engine.families.family import named
from engine.families.table import FAMILIES
from engine.models.base import LanguageModel
from engine.models.linear import LinearMap


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
        raise TypeError(f"{type(model).__name__} is not a torch.nn.Module")
    return model


def blocks(model: LanguageModel) -> list[nn.Module]:
    """The modules that repeat along the model's depth, in their order; none where its family has none."""
    name_of_block = model.family.blocks
    if name_of_block is None:
        return []
    return [part for name, part in module(model).named_modules() if re.fullmatch(name_of_block, name)]


def linear_maps(model: LanguageModel) -> dict[str, LinearMap]:
    """The linear maps in the model's blocks, by name; none where its family has no blocks, or others in them."""
    name_of_block = model.family.blocks
    if name_of_block is None:
        return {}
    inside = re.compile(rf"(?:{name_of_block})\..+")
    named = module(model).named_modules()
    return {name: part for name, part in named if isinstance(part, LinearMap) and inside.fullmatch(name)}


def matrices(model: LanguageModel) -> dict[str, Tensor]:
    """The weights that are multiplied with, by name: tied ones once, embeddings that are only looked up not at all."""
    found = {name: weight for name, weight in module(model).named_parameters() if weight.ndim == 2}
    idle = model.family.embeddings - {head(model)}
    return {name: weight for name, weight in found.items() if name not in idle}


def head(model: LanguageModel) -> str:
    """The name of the weight that gives the scores over the vocabulary."""
    names = dict(module(model).named_parameters())
    return next(name for name in model.family.heads if name in names)


def _empty(settings: ModelSettings, vocabulary: int) -> LanguageModel:
    """A module of the family whose weights are yet to be drawn.

    Raises:
        TypeError: the table of families names something else.
    """
    network = FAMILIES[settings.family].network
    make = named(network, object)
    made: object = make(settings.shape, vocabulary, settings.dropout) if callable(make) else None
    if not isinstance(made, nn.Module) or not isinstance(made, LanguageModel):
        raise TypeError(f"family '{settings.family}': {network} does not make a LanguageModel")
    return made
