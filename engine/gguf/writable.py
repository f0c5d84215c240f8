"""A version's shape in the words of GGUF files: the architecture that computes the same, and its keys.

thor   llama; qwen2 where it has biases, qwen3 where it has norms on queries and keys
gpt2   gpt2
"""

from dataclasses import dataclass

from engine.config.model import ModelSettings
from engine.families.gpt2 import Gpt2Shape
from engine.families.thor import ThorShape
from engine.foreign_model import ForeignModelError
from engine.gguf import rope_factors
from engine.models import rotary


@dataclass(frozen=True, slots=True)
class Described:
    """What a file says of a model.

    Attributes:
        keys: as they are written, with the architecture before them.
        rope_factors: what each frequency is divided by; empty where they are not stretched in that way.
    """

    architecture: str
    keys: dict[str, int | float | str]
    rope_factors: tuple[float, ...] = ()


def describe(model: ModelSettings, vocabulary: int) -> Described:
    """The description of a model.

    Raises:
        ForeignModelError: llama.cpp has no architecture that computes the same.
    """
    shape = model.shape
    if isinstance(shape, Gpt2Shape):
        keys: dict[str, int | float | str] = {
            "block_count": shape.layers,
            "context_length": shape.context,
            "embedding_length": shape.hidden,
            "feed_forward_length": 4 * shape.hidden,
            "attention.head_count": shape.heads,
            "attention.layer_norm_epsilon": shape.norm_epsilon,
            "vocab_size": vocabulary,
        }
        return Described("gpt2", _prefixed("gpt2", keys))
    if not isinstance(shape, ThorShape):
        raise ForeignModelError(
            f"llama.cpp has no architecture for the family '{model.family}'; only thor and gpt2 can be written"
        )
    return _thor(shape, vocabulary)


def _thor(shape: ThorShape, vocabulary: int) -> Described:
    arch = _architecture(shape)
    keys: dict[str, int | float | str] = {
        "block_count": shape.layers,
        "context_length": shape.context,
        "embedding_length": shape.hidden,
        "feed_forward_length": shape.feed_forward,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": shape.width,
        "attention.value_length": shape.width,
        "attention.layer_norm_rms_epsilon": shape.norm_epsilon,
        "rope.dimension_count": shape.width,
        "rope.freq_base": shape.rope_theta,
        "vocab_size": vocabulary,
    }
    factors: tuple[float, ...] = ()
    match shape.rope_scaling:
        case "ntk":
            keys["rope.freq_base"] = rotary.stretched_theta(shape.width, shape.rope_theta, shape.rope_factor)
        case "linear" | "yarn":
            keys["rope.scaling.type"] = shape.rope_scaling
            keys["rope.scaling.factor"] = shape.rope_factor
            if shape.rope_trained:
                keys["rope.scaling.original_context_length"] = shape.rope_trained
        case "llama3":
            known = rope_factors.factors(shape.width, shape.rope_theta, shape.rope_factor, shape.rope_trained)
            factors = tuple(known.tolist())
    return Described(arch, _prefixed(arch, keys), factors)


def _architecture(shape: ThorShape) -> str:
    """Of those that compute the same, the one that its readers expect; llama can have biases too."""
    if shape.beyond_llama:
        has = ", ".join(f"{key} = {value}" for key, value in shape.beyond_llama.items())
        raise ForeignModelError(f"thord writes llama.cpp's llama, qwen2 and qwen3, which do not have {has}")
    if 0 < shape.window < shape.context:
        raise ForeignModelError(
            f"llama.cpp's llama, qwen2 and qwen3 have no window, and attention here looks back {shape.window} tokens"
        )
    if shape.qk_norm:
        if shape.qkv_bias or shape.rope_scaling == "llama3":
            other = "qkv_bias" if shape.qkv_bias else "rope_scaling 'llama3'"
            raise ForeignModelError(f"llama.cpp's qwen3, which has qk_norm, does not have {other}")
        return "qwen3"
    is_usual = shape.width * shape.heads == shape.hidden and shape.rope_scaling != "llama3"
    return "qwen2" if shape.qkv_bias and is_usual else "llama"


def _prefixed(arch: str, keys: dict[str, int | float | str]) -> dict[str, int | float | str]:
    return {f"{arch}.{key}": value for key, value in keys.items()}
