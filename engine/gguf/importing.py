"""A model from a GGUF file, published as a version of thord."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from gguf import GGMLQuantizationType
from pydantic import JsonValue
from torch import Tensor

from engine import model_files, version
from engine.config.model import ModelSettings
from engine.foreign_model import ForeignModelError
from engine.gguf import container, licence, names, sampling, tensors, vocabulary
from engine.gguf.architectures import reading
from engine.gguf.container import GgufFile, TensorRecord
from engine.manifest import Lineage, VersionManifest
from engine.models import registry

_WHOLE = (GGMLQuantizationType.F32, GGMLQuantizationType.F64)


def take(
    source: Path,
    target: Path,
    number: int,
    recommended: Mapping[str, JsonValue] = MappingProxyType({}),
    advance: Callable[[str], None] = lambda _: None,
) -> VersionManifest:
    """Publish the model in ``source`` as version ``number`` at ``target``.

    What is quantized becomes bf16; float32, float16 and bf16 stay what they are. ``recommended`` are keys of
    ``generation_config.json`` that count where the file says nothing; ``advance`` is told what is done.

    Raises:
        ForeignModelError: it cannot be taken over; the message says why.
        ArtifactError: there is another version at ``target``.
        OSError: the disk is full or refused.
    """
    if fault := model_files.fault(source, "gguf"):
        raise ForeignModelError(fault)
    file = container.read(source)
    settings = reading.read(file)
    embedding = file.tensors.get(names.TOKEN_EMBEDDING)
    if embedding is None:
        raise ForeignModelError(f"{source} has no tensor {names.TOKEN_EMBEDDING}")
    tokenizer = vocabulary.read(file.metadata, embedding.shape[0])
    weights = _weights(file, settings, embedding.shape[0], advance)
    lineage = Lineage.imported(number, source, settings.model_dump(mode="json"), licence.read(file.metadata))
    generation_config = {**recommended, **sampling.read(file.metadata)}
    return version.publish(target, weights, settings, tokenizer, lineage, generation_config=generation_config)


def _weights(
    file: GgufFile, settings: ModelSettings, vocabulary_size: int, advance: Callable[[str], None]
) -> dict[str, Tensor]:
    """Every weight of the model, under thord's names, each decoded by itself."""
    expected = registry.module(registry.skeleton(settings, vocabulary_size)).state_dict()
    shape, arch = settings.shape, reading.architecture(file.metadata)
    wanted = {name: names.in_gguf(name, shape) for name in expected}
    _check(file, expected, wanted)
    dtype = _dtype(file.tensors[name] for name in wanted.values())
    largest = torch.finfo(dtype).max
    weights: dict[str, Tensor] = {}
    for name, theirs in wanted.items():
        advance(f"decoding {file.path.name}: {len(weights)} of {len(wanted)} tensors")
        numbers = file.read(theirs)
        if not np.abs(numbers).max() <= largest:  # which NaN is not either
            raise ForeignModelError(f"{file.path}: NaN or infinity in {theirs}")
        weights[name] = tensors.taken(torch.from_numpy(numbers), name, arch, shape).to(dtype)
    return weights


def _check(file: GgufFile, expected: Mapping[str, Tensor], wanted: Mapping[str, str]) -> None:
    """Whether the file has the tensors expected, in their shapes, and nothing else that would matter."""
    missing = sorted(set(wanted.values()) - file.tensors.keys())
    surplus = sorted(set(_surplus(file, wanted)))
    if missing or surplus:
        raise ForeignModelError(f"{file.path}: tensors missing: {missing[:3]}, not expected: {surplus[:3]}")
    for name, theirs in wanted.items():
        shape = tuple(expected[name].shape)
        found = file.tensors[theirs].shape
        if found != (shape[::-1] if tensors.is_transposed(name) else shape):
            raise ForeignModelError(f"{file.path}: {theirs} is {list(found)}, the model needs {list(shape)}")


def _surplus(file: GgufFile, wanted: Mapping[str, str]) -> Iterator[str]:
    for name in file.tensors.keys() - set(wanted.values()):
        if name in (names.ROPE_FACTORS, names.ROPE_LONG, names.ROPE_SHORT):
            continue
        if name == names.HEAD and np.array_equal(file.read(name), file.read(names.TOKEN_EMBEDDING)):
            continue  # gpt2, whose head is the embedding
        if name.endswith(".attn_output.bias") and not file.read(name).any():
            continue
        yield name


def _dtype(records: Iterable[TensorRecord]) -> torch.dtype:
    """float32 or float16 where the matrices are; bf16 where they are, or are quantized."""
    kinds = {record.kind for record in records if len(record.shape) > 1 and record.name != "position_embd.weight"}
    if kinds <= set(_WHOLE):
        return torch.float32
    return torch.float16 if kinds <= {*_WHOLE, GGMLQuantizationType.F16} else torch.bfloat16
