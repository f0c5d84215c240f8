"""Blocks of a model compiled by torch: a minute at the start of a run for faster steps, above all on a GPU.

Each block is compiled alone, not the model whole: blocks are alike, so one is compiled for all of them.
"""

import importlib.util
import os
import shutil

import torch
from torch import nn

from engine.device import ImpossiblePlacementError
from engine.training import recompute


def apply(model: nn.Module, device: torch.device) -> None:
    """Have the model's blocks compiled when they are first computed. Comes before `recompute.apply`.

    Raises:
        ImpossiblePlacementError: nothing here can compile for ``device``, or the family has no blocks.
    """
    if lacking := _lacking(device):
        raise ImpossiblePlacementError(f"training.compile needs {lacking}; set it to false")
    blocks = recompute.blocks(model)
    if not blocks:
        raise ImpossiblePlacementError(f"training.compile: {type(model).__name__} has no blocks; set it to false")
    for block in blocks:
        block.forward = torch.compile(block.forward, dynamic=False)


def _lacking(device: torch.device) -> str | None:
    if device.type == "cuda":
        return None if importlib.util.find_spec("triton") else "the package triton"
    compilers = (os.environ.get("CXX", ""), "g++", "clang++")
    return None if any(map(shutil.which, filter(None, compilers))) else "a C++ compiler (g++ or clang++)"
