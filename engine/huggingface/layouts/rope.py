"""Rotary positions in ``config.json``: ``rope_parameters``, or ``rope_theta`` and ``rope_scaling`` before that."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

from engine.families.thor import RopeScaling, ThorShape
from engine.huggingface.model_layout import refuse
from engine.models import rotary
from engine.section import Scale

_SCALINGS: dict[str, RopeScaling] = {"linear": "linear", "llama3": "llama3", "yarn": "yarn"}


class Rope(BaseModel):
    """How positions turn, under the keys of either time."""

    model_config = ConfigDict(extra="ignore")

    rope_type: str | None = None
    type: str | None = None
    rope_theta: float | None = None
    factor: float = 1.0
    low_freq_factor: float = rotary.LLAMA3_SLOW
    high_freq_factor: float = rotary.LLAMA3_FAST
    original_max_position_embeddings: int = 0
    partial_rotary_factor: float | None = None
    beta_fast: float | None = None
    beta_slow: float | None = None
    attention_factor: float | None = None
    mscale: float | None = None
    mscale_all_dim: float | None = None
    truncate: bool = True
    short_factor: list[Scale] | None = None
    long_factor: list[Scale] | None = None

    @property
    def kind(self) -> str:
        """Its type, under either key."""
        return self.rope_type or self.type or "default"

    @property
    def has_plain_yarn(self) -> bool:
        """Whether whatever yarn may be given is as in its paper."""
        turns = (self.beta_slow or rotary.YARN_SLOW, self.beta_fast or rotary.YARN_FAST)
        length = rotary.magnitude("yarn", self.factor)
        return (
            turns == (rotary.YARN_SLOW, rotary.YARN_FAST)
            and abs((self.attention_factor or length) - length) < 1e-6
            and self.mscale is None is self.mscale_all_dim
            and self.truncate
        )


def read(rope: Rope, file: Path, context: int, theta: float) -> dict[str, JsonValue]:
    """The settings of a shape, but for partial rotation; ``theta`` is the base unless ``rope`` has one.

    Raises:
        ForeignModelError: positions turn in a way that thord does not have.
    """
    kind = rope.kind
    refuse(file, kind not in ("default", *_SCALINGS), f"rope_type '{kind}'")
    refuse(file, kind == "yarn" and not rope.has_plain_yarn, "yarn with other factors than those of its paper")
    turns = (rope.low_freq_factor, rope.high_freq_factor)
    refuse(
        file,
        kind == "llama3" and turns != (rotary.LLAMA3_SLOW, rotary.LLAMA3_FAST),
        f"low_freq_factor and high_freq_factor {turns}",
    )
    return {
        "rope_theta": rope.rope_theta or theta,
        "rope_scaling": _SCALINGS.get(kind, "none"),
        "rope_factor": rope.factor,
        "rope_trained": rope.original_max_position_embeddings or context,
    }


def read_longrope(rope: Rope, file: Path, context: int, trained: int) -> dict[str, JsonValue]:
    """The settings of a shape that was trained on texts of ``trained`` tokens, and has factors for longer ones too.

    Raises:
        ForeignModelError: it has no factors, or makes attention sharper in another way.
    """
    factor = rope.factor if "factor" in rope.model_fields_set else context / trained
    short, long = rope.short_factor, rope.long_factor
    length = rotary.magnitude("longrope", factor, trained)
    refuse(file, short is None or long is None, f"rope_type '{rope.kind}' without short_factor and long_factor")
    refuse(
        file, abs((rope.attention_factor or length) - length) > 1e-6, f"an attention_factor of {rope.attention_factor}"
    )
    factors: dict[str, JsonValue] = {"rope_short": [*(short or [])], "rope_long": [*(long or [])]}
    return {"rope_scaling": "longrope", "rope_factor": factor, "rope_trained": trained, **factors}


def write(shape: ThorShape) -> dict[str, JsonValue]:
    """In today's words, and in those of readers before transformers 5."""
    theta = shape.rope_theta
    if shape.rope_scaling == "ntk":
        theta = rotary.stretched_theta(shape.rotary_width, theta, shape.rope_factor)
    scaling = scaling_of(shape)
    parameters: dict[str, JsonValue] = {"rope_theta": theta, **(scaling or {"rope_type": "default"})}
    return {"rope_theta": theta, "rope_scaling": scaling, "rope_parameters": parameters}


def scaling_of(shape: ThorShape) -> dict[str, JsonValue] | None:
    """How positions are stretched; null where they are not, or by their base alone."""
    match shape.rope_scaling:
        case "linear":
            return {"rope_type": "linear", "factor": shape.rope_factor}
        case "yarn":
            return {
                "rope_type": "yarn",
                "factor": shape.rope_factor,
                "original_max_position_embeddings": shape.rope_trained,
            }
        case "llama3":
            return {
                "rope_type": "llama3",
                "factor": shape.rope_factor,
                "low_freq_factor": rotary.LLAMA3_SLOW,
                "high_freq_factor": rotary.LLAMA3_FAST,
                "original_max_position_embeddings": shape.rope_trained,
            }
        case "longrope":
            return {
                "rope_type": "longrope",
                "factor": shape.rope_factor,
                "original_max_position_embeddings": shape.rope_trained,
                "short_factor": [*shape.rope_short],
                "long_factor": [*shape.rope_long],
            }
    return None
