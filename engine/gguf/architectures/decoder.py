"""Architectures that compute a ``thor``: what they have in common, and what each of them adds as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.families.thor import ThorShape
from engine.foreign_model import ForeignModelError
from engine.gguf import names
from engine.gguf.architectures import positions
from engine.gguf.architectures.architecture import Described
from engine.gguf.container import GgufFile

_WINDOW = "attention.sliding_window"
Sizes = Mapping[str, JsonValue]
_COMMON = frozenset(
    {
        "block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count",
        "attention.head_count_kv", "attention.key_length", "attention.value_length", *positions.KEYS,
    }
)  # fmt: skip


def _nothing(settings: Sizes) -> dict[str, JsonValue]:
    del settings
    return {}


@dataclass(frozen=True)
class Decoder:
    """One of them. Implements `engine.gguf.architectures.architecture.Architecture`.

    Attributes:
        always: settings of ``thor`` that every model of it has.
        own: further keys, the setting that each stands for, and what that is in a file without the key.
        derived: settings that follow from those read.
        scalings: how it can stretch positions.
        epsilon: the key of the norms' epsilon.
        needs: settings without which llama.cpp computes nothing sensible.
        window: whether llama.cpp computes one (yes), or files have one that it leaves out (ignored).
        turns_part: whether only a part of each head may turn.
        is_square: whether its heads are as wide together as the model.
    """

    name: str
    always: Mapping[str, JsonValue] = field(default_factory=dict)
    own: Mapping[str, tuple[str, bool | int | float]] = field(default_factory=dict)
    derived: Callable[[Sizes], dict[str, JsonValue]] = _nothing
    scalings: frozenset[str] = positions.USUAL
    epsilon: str = "attention.layer_norm_rms_epsilon"
    turns_neighbours: bool = False
    needs: tuple[str, ...] = ()
    window: Literal["yes", "ignored", "no"] = "no"
    turns_part: bool = False
    is_square: bool = False

    @property
    def keys(self) -> frozenset[str]:
        """The keys that it reads, without the architecture before them."""
        return _COMMON | {self.epsilon, *self.own} | ({_WINDOW} if self.window != "no" else set())

    def read(self, file: GgufFile) -> ModelSettings:
        """The settings that make the model in a file.

        Raises:
            ForeignModelError: it has what thord has not, or something is missing.
            ValidationError: sizes do not go together.
        """
        known, arch = file.metadata, self.name
        hidden, heads = known.integer(f"{arch}.embedding_length"), known.integer(f"{arch}.attention.head_count")
        if heads < 1:
            raise ForeignModelError(f"{file.path}: {arch}.attention.head_count is {heads}")
        width = known.integer(f"{arch}.attention.key_length", hidden // heads)
        turning = known.integer(f"{arch}.rope.dimension_count", width)
        if known.integer(f"{arch}.attention.value_length", width) != width:
            raise ForeignModelError(f"{file.path}: {arch}.attention.value_length is not the width of a head, {width}")
        if turning != width and not self.turns_part:
            raise ForeignModelError(f"{file.path}: {arch}.rope.dimension_count is not the width of a head, {width}")
        found: dict[str, JsonValue] = {
            "family": "thor",
            "hidden": hidden,
            "layers": known.integer(f"{arch}.block_count"),
            "heads": heads,
            "kv_heads": known.integer(f"{arch}.attention.head_count_kv", heads),
            "head_width": width,
            "partial_rotary": turning / width if width else 1.0,
            "feed_forward": known.integer(f"{arch}.feed_forward_length"),
            "context": known.integer(f"{arch}.context_length"),
            "window": known.integer(f"{arch}.{_WINDOW}", 0),
            "norm_epsilon": known.number(f"{arch}.{self.epsilon}"),
            "tied": names.HEAD not in file.tensors,
            "qkv_bias": "blk.0.attn_q.bias" in file.tensors,
            **positions.read(file, arch, turning),
        }
        for key, (setting, missing) in self.own.items():
            if isinstance(missing, bool):
                found[setting] = known.flag(f"{arch}.{key}", missing)
            elif isinstance(missing, int):
                found[setting] = known.integer(f"{arch}.{key}", missing)
            else:
                found[setting] = known.number(f"{arch}.{key}", missing)
        found |= self.always
        return ModelSettings.model_validate(found | self.derived(found)).resolved

    def write(self, shape: ModelShape, vocabulary: int) -> Described:
        """What a file says of such a model; the model that it describes may be another one.

        Raises:
            ForeignModelError: llama.cpp has no such positions.
            TypeError: the shape is another family's.
        """
        shape = of_thor(shape)
        if shape.rope_scaling not in (*self.scalings, "none", "ntk"):
            raise ForeignModelError(f"llama.cpp's {self.name} does not have rope_scaling '{shape.rope_scaling}'")
        keys: dict[str, int | float | str] = {
            "block_count": shape.layers,
            "context_length": shape.context,
            "embedding_length": shape.hidden,
            "feed_forward_length": shape.feed_forward,
            "attention.head_count": shape.heads,
            "attention.head_count_kv": shape.kv_heads,
            "attention.key_length": shape.width,
            "attention.value_length": shape.width,
            self.epsilon: shape.norm_epsilon,
            "vocab_size": vocabulary,
            **positions.write(shape),
        }
        values = shape.model_dump()
        keys |= {key: values[setting] for key, (setting, _) in self.own.items()}
        if self.window == "yes":
            keys[_WINDOW] = shape.window
        return Described(
            self.name, {f"{self.name}.{key}": value for key, value in keys.items()}, positions.tensors(shape)
        )


def of_thor(shape: ModelShape) -> ThorShape:
    """The shape as that of a thor.

    Raises:
        TypeError: it is another family's.
    """
    if not isinstance(shape, ThorShape):
        raise TypeError(f"the shape of a thor is expected, not a {type(shape).__name__}")
    return shape
