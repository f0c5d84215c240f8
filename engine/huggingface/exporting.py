"""A version of thord as a folder that `transformers`, vLLM and SGLang read.

thor and gpt2 are models they know; of the other families, weights, settings and tokenizer are written all the same, to
be kept or shared, and thord takes them back. ``python -m engine.huggingface.exporting VERSION_FOLDER DIR`` writes one.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import JsonValue
from safetensors.torch import save_file

from engine import artifacts, disk, generation, model_files, version
from engine.foreign_model import ForeignModelError, export_parser, export_status
from engine.huggingface import model_config, tokenizer
from engine.manifest import verify
from engine.tokenizers import registry as tokenizers


def write(source: Path, target: Path) -> None:
    """Write the version in ``source`` to the folder ``target``, which must not exist yet.

    Raises:
        ArtifactError: the version is damaged.
        ForeignModelError: it has what no known layout has, or ``target`` exists.
        OSError: the disk is full or refused.
    """
    if target.exists():
        raise ForeignModelError(f"{target} exists already")
    verify(source)
    config = version.read_config(source)
    words = tokenizers.load(config.tokenizer, source)
    described, layout = model_config.write(config.model, config.vocabulary, config.tokenizer)
    stored = version.weights_of(source)
    tensors, dtype = {name: stored.get(name) for name in stored.names}, stored.dtype
    if layout is not None:
        tensors = {layout.theirs(name): tensor for name, tensor in tensors.items()}
        biases = layout.zero_biases(described, config.model.shape)
        tensors |= {name: torch.zeros(size, dtype=dtype) for name, size in biases.items()}
    described["dtype"] = described["torch_dtype"] = str(dtype).removeprefix("torch.")
    with artifacts.publishing(target) as draft:
        save_file(tensors, draft / model_files.SINGLE, metadata={"format": "pt"})
        special = tokenizer.write(words, draft, config.model.shape.context)
        brought = generation.read(source)
        special |= _with_brought(special, brought)
        disk.write_json(draft / model_files.CONFIG, described | special)
        disk.write_json(draft / generation.FILE, {"_from_model_config": False, **brought, **special})
        _make_readable(draft)


def _with_brought(special: Mapping[str, JsonValue], brought: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Ids of special tokens: those that the model brought, and those of its tokenizer."""
    said, own = generation.parsed(brought), generation.parsed(special)
    ends: list[JsonValue] = [*dict.fromkeys((*said.ends, *own.ends))]
    return {"bos_token_id": own.bos_token_id if said.bos_token_id is None else said.bos_token_id, "eos_token_id": ends}


def _make_readable(folder: Path) -> None:
    """Have files be as open as the umask lets new ones be: safetensors writes its own for their owner alone."""
    umask = os.umask(0)
    os.umask(umask)
    for file in folder.iterdir():
        file.chmod(0o666 & ~umask)


def main() -> int:
    """0, or 1 and the reason on standard error."""
    options = export_parser("Write a version in the layout of Hugging Face.", "DIR").parse_args()
    return export_status(lambda: write(options.version, options.target))


if __name__ == "__main__":
    sys.exit(main())
