"""Blocks of a model compiled by torch: a minute at the start of a run for faster steps, above all on a GPU.

Each block is compiled alone, not the model whole: blocks are alike, so one is compiled for all of them.
"""

import importlib.util
import os
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from engine.device import ImpossiblePlacementError


def apply(blocks: Sequence[nn.Module], device: torch.device) -> None:
    """Have a model's blocks compiled when they are first computed. Comes before `activation_checkpointing.apply`.

    Raises:
        ImpossiblePlacementError: nothing here can compile for ``device``, or the family has no blocks.
    """
    if lacking := _lacking(device):
        raise ImpossiblePlacementError(f"training.compile needs {lacking}; set it to false")
    if not blocks:
        raise ImpossiblePlacementError("training.compile: this model family has no blocks to compile; set it to false")
    for block in blocks:
        block.forward = torch.compile(block.forward)  # a size that changes is compiled once more, for all sizes


def _lacking(device: torch.device) -> str | None:
    if device.type != "cuda":
        return None if _any_of(os.environ.get("CXX"), "g++", "clang++") else "a C++ compiler (g++ or clang++)"
    if not importlib.util.find_spec("triton"):
        return "the package triton"
    if not _any_of(os.environ.get("CC"), "gcc", "clang"):
        return "a C compiler (gcc or clang), which triton asks for"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "Python's headers (python3-dev), which triton asks for"
    return None


def _any_of(*programs: str | None) -> bool:
    return any(shutil.which(program) for program in programs if program)
