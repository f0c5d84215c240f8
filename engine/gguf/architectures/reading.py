"""The sizes of a model in a GGUF file, as thord's settings of it.

A key that changes what a model computes, and that is not read here, is refused by name.
"""

from pydantic import JsonValue, ValidationError

from engine.config.model import ModelSettings
from engine.foreign_model import ForeignModelError
from engine.gguf.architectures import table
from engine.gguf.architectures.architecture import Architecture
from engine.gguf.container import GgufFile
from engine.gguf.metadata import Metadata
from engine.models import rotary

_WITHOUT_EFFECT = frozenset({"vocab_size", "tensor_data_layout", "pooling_type"})
_AS_USUAL: dict[str, tuple[JsonValue, ...]] = {
    "attention.causal": (True,),
    "attention.sliding_window": (0,),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "rope.scaling.yarn_attn_factor": (1.0,),
    "rope.scaling.yarn_beta_fast": (rotary.YARN_FAST,),
    "rope.scaling.yarn_beta_slow": (rotary.YARN_SLOW,),
    "rope.scaling.yarn_log_multiplier": (0.0,),
    "rope.scaling.finetuned": (True, False),
    "use_parallel_residual": (False,),
}
"""Values that say what thord does anyway; any other value is refused."""
_AS_USUAL_OF = {"granite": {"rope.scaling.finetuned": (True,)}}
"""The same where an architecture means something else: a Granite that is not finetuned has no positions."""


def architecture(known: Metadata) -> Architecture:
    """That of a file.

    Raises:
        ForeignModelError: it is one that thord does not have, or the file is not a whole model.
    """
    kind = known.text("general.type", "model")
    if kind == "adapter":
        raise ForeignModelError(f"{known.path} is a LoRA adapter, not a whole model: merge it into its model first")
    if kind != "model":
        raise ForeignModelError(f"{known.path} is not a language model: its general.type is '{kind}'")
    parts = known.integer("split.count", 1)
    if parts > 1:
        raise ForeignModelError(
            f"{known.path} is one of {parts} files: put them together with llama.cpp's 'llama-gguf-split --merge'"
        )
    arch = known.text("general.architecture")
    if arch not in table.BY_NAME:
        raise ForeignModelError(
            f"{known.path}: architecture '{arch}' is not known; known are {', '.join(table.BY_NAME)}"
        )
    return table.BY_NAME[arch]


def read(file: GgufFile) -> ModelSettings:
    """The settings that make the model in a file.

    Raises:
        ForeignModelError: it is of an architecture that thord does not have, or something is missing.
    """
    arch = architecture(file.metadata)
    _refuse_what_is_not_read(file.metadata, arch)
    try:
        return arch.read(file)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ForeignModelError(f"{file.path}: {faults}") from error


def _refuse_what_is_not_read(known: Metadata, arch: Architecture) -> None:
    as_usual = _AS_USUAL | _AS_USUAL_OF.get(arch.name, {})
    for key in known:
        name = key.removeprefix(f"{arch.name}.")
        if name == key or name in arch.keys or name in _WITHOUT_EFFECT:
            continue
        if name not in as_usual or known.get(key) not in as_usual[name]:
            raise ForeignModelError(f"{known.path}: {key} is something that thord's families do not have")
