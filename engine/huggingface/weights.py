"""Weights in Hugging Face's files: one ``model.safetensors``, or several and an index. Their names become thord's."""

from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from engine.foreign_model import ForeignModelError
from engine.huggingface.layouts.llama import OUTPUT_BIAS
from engine.huggingface.model_layout import ModelLayout
from engine.model_files import INDEX, SINGLE

_BUFFERS = (".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq")
"""Endings of names in older files that are not weights."""
_POINTER = b"version https://git-lfs"
"""What Git leaves in place of a large file where Git LFS is not installed."""


class _Index(BaseModel):
    model_config = ConfigDict(extra="ignore")

    weight_map: dict[str, str]


def read(folder: Path, expected: Collection[str], layout: ModelLayout | None = None) -> dict[str, Tensor]:
    """Tensors mapped from the files, under the names expected; whether all are there is for the caller to check.

    Files may leave out the first part of a name (``model.`` or ``transformer.``), and may hold a head that is tied, or
    biases of zeros where thord has none.

    Raises:
        ForeignModelError: a file is missing or damaged.
    """
    prefix = next(iter(expected)).split(".")[0] + "."
    found: dict[str, Tensor] = {}
    for file in _files(folder):
        try:
            tensors = load_file(file)
        except (OSError, SafetensorError) as error:
            raise ForeignModelError(f"{file}: {_what_it_is(file) or error}") from error
        for written, tensor in tensors.items():
            name = written if layout is None else layout.ours(written)
            if name.endswith(OUTPUT_BIAS) and name not in expected and not tensor.any():
                continue
            full = name if name in expected or name.startswith((prefix, "lm_head.")) else prefix + name
            if not name.endswith(_BUFFERS) and (full in expected or full != "lm_head.weight"):
                found[full] = tensor
    return found


def _files(folder: Path) -> list[Path]:
    index = folder / INDEX
    if not index.exists():
        if not (folder / SINGLE).exists():
            raise ForeignModelError(
                f"{folder} has neither {SINGLE} nor {INDEX}; weights in other formats are not read: save the model "
                "again with transformers' save_pretrained"
            )
        return [folder / SINGLE]
    try:
        names = set(_Index.model_validate_json(index.read_bytes()).weight_map.values())
    except (OSError, ValidationError) as error:
        raise ForeignModelError(f"{index}: {error}") from error
    if any(Path(name).name != name for name in names):
        raise ForeignModelError(f"{index}: it names files outside of its folder")
    return [folder / name for name in sorted(names)]


def _what_it_is(file: Path) -> str:
    """Where a file is what is often found in place of weights; else nothing."""
    try:
        with file.open("rb") as stream:
            begins = stream.read(len(_POINTER))
    except OSError:
        return ""
    return "only points to the weights: fetch them with 'git lfs pull'" if begins == _POINTER else ""
