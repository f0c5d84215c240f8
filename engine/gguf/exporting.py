"""A version of thord as a GGUF file, for llama.cpp, Ollama and LM Studio.

``python -m engine.gguf.exporting VERSION_FOLDER FILE --type q8_0`` writes one.
"""

import sys
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf.quants import quantize

from engine import disk, generation, version
from engine.foreign_model import ForeignModelError, export_parser, export_status
from engine.gguf import names, sampling, tensors, written_tokenizer
from engine.gguf.architectures import table, writing
from engine.gguf.architectures.architecture import Described
from engine.gguf.written_tokenizer import Written
from engine.manifest import verify, version_name
from engine.tokenizers import registry as tokenizers

Type = Literal["f32", "bf16", "f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"]
TYPES: dict[Type, tuple[GGMLQuantizationType, LlamaFileType]] = {
    "f32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "bf16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "q5_1": (GGMLQuantizationType.Q5_1, LlamaFileType.MOSTLY_Q5_1),
    "q5_0": (GGMLQuantizationType.Q5_0, LlamaFileType.MOSTLY_Q5_0),
    "q4_1": (GGMLQuantizationType.Q4_1, LlamaFileType.MOSTLY_Q4_1),
    "q4_0": (GGMLQuantizationType.Q4_0, LlamaFileType.MOSTLY_Q4_0),
}
"""What matrices can be written in; all that the package encodes, coarsest last."""
_OF_DTYPES: dict[torch.dtype, Type] = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
_FEW_BITS = ("q5_1", "q5_0", "q4_1", "q4_0")
_EMBEDDINGS = (names.TOKEN_EMBEDDING, names.HEAD)


def write(source: Path, target: Path, kind: Type | None = None) -> Type:
    """Write the version in ``source`` to the file ``target``, which must not exist yet; the type of its matrices.

    Without ``kind`` that is the one that the version's weights have. Of fewer bits than 8, embedding and head are
    written in 8 all the same.

    Raises:
        ArtifactError: the version is damaged.
        ForeignModelError: llama.cpp has nothing that computes the same, or ``target`` exists.
        OSError: the disk is full or refused.
    """
    if target.exists():
        raise ForeignModelError(f"{target} exists already")
    manifest = verify(source)
    config = version.read_config(source)
    shape = config.model.shape
    described = writing.describe(config.model, config.vocabulary)
    arch = table.BY_NAME[described.architecture]
    words = written_tokenizer.describe(
        tokenizers.load(config.tokenizer, source), (source / version.TOKENIZER).read_text(encoding="utf-8")
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    stored = version.weights_of(source)
    with disk.draft(target) as draft:
        kept = {names.in_gguf(name, shape): name for name in sorted(stored.names)}
        chosen = _OF_DTYPES.get(stored.dtype, "f32") if kind is None else kind
        writer = GGUFWriter(draft, described.architecture)
        writer.add_type("model")
        writer.add_name(f"thord {version_name(manifest.version)}{' of Phi-3' if words.as_phi3 else ''}")
        writer.add_file_type(TYPES[chosen][1])
        writer.add_quantization_version(2)
        _add_keys(writer, described, words)
        for key, value in sampling.write(generation.read(source)).items():
            _add(writer, key, value)
        kinds = {}
        for theirs, name in kept.items():
            tensor_shape = list(stored.base[name].shape)
            if tensors.is_transposed(name):
                tensor_shape.reverse()
            kinds[theirs] = _kind(theirs, tensor_shape, chosen)
            _announce(writer, theirs, tensor_shape, kinds[theirs])
        for theirs, numbers in described.tensors.items():
            _announce(writer, theirs, [len(numbers)], GGMLQuantizationType.F32)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for theirs, name in kept.items():
            weight = tensors.stored(stored.get(name, torch.float32), name, arch, shape).contiguous()
            writer.write_tensor_data(quantize(weight.numpy(), kinds[theirs]))
        for numbers in described.tensors.values():
            writer.write_tensor_data(np.array(numbers, np.float32))
        writer.close()
    return chosen


def _add_keys(writer: GGUFWriter, described: Described, words: Written) -> None:
    for key, value in described.keys.items():
        _add(writer, key, value)
    for key, value in words.keys.items():
        _add(writer, f"tokenizer.ggml.{key}", value)
    writer.add_token_list(list(words.tokens))
    writer.add_token_types(list(words.types))
    if words.scores:
        writer.add_token_scores(list(words.scores))
    if words.merges:
        writer.add_token_merges(list(words.merges))
    if words.template is not None:
        writer.add_chat_template(words.template)


def _add(writer: GGUFWriter, key: str, value: int | float | str | bool) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)


def _kind(name: str, shape: list[int], chosen: Type) -> GGMLQuantizationType:
    """What one tensor is written in: vectors and positions in float32, rows that have no whole blocks in bf16."""
    if len(shape) < 2 or name == "position_embd.weight":
        return GGMLQuantizationType.F32
    kind = TYPES["q8_0" if name in _EMBEDDINGS and chosen in _FEW_BITS else chosen][0]
    return kind if shape[-1] % GGML_QUANT_SIZES[kind][0] == 0 else GGMLQuantizationType.BF16


def _announce(writer: GGUFWriter, name: str, shape: list[int], kind: GGMLQuantizationType) -> None:
    block, block_bytes = GGML_QUANT_SIZES[kind]
    size = int(np.prod(shape)) // block * block_bytes
    writer.add_tensor_info(name, shape, np.dtype(np.float32), size, raw_dtype=kind)


def main() -> int:
    """0, or 1 and the reason on standard error."""
    parser = export_parser("Write a version as a GGUF file.", "FILE")
    parser.add_argument("--type", choices=tuple(TYPES), default=None)
    options = parser.parse_args()
    return export_status(lambda: print(write(options.version, options.target, options.type)))


if __name__ == "__main__":
    sys.exit(main())
