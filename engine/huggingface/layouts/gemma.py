"""What Gemma 2 and Gemma 3 have in common: norms on both sides, by one plus a weight, and windows in most layers."""

from pathlib import Path

from pydantic import JsonValue

from engine.families.thor import ThorShape
from engine.huggingface.layouts import decoder
from engine.huggingface.layouts.decoder import DecoderConfig
from engine.huggingface.model_layout import refuse
from engine.section import Width

_ACTIVATION = "gelu_pytorch_tanh"


class GemmaConfig(DecoderConfig):
    """The keys of both."""

    head_dim: Width = 256
    tie_word_embeddings: bool = True
    hidden_act: str = "silu"
    hidden_activation: str | None = _ACTIVATION
    query_pre_attn_scalar: float = 256
    sliding_window: int | None = 4096
    use_bidirectional_attention: bool | None = None
    attn_logit_softcapping: float | None = None
    final_logit_softcapping: float | None = None


def read(config: GemmaConfig, file: Path, usual_interval: int) -> dict[str, JsonValue]:
    """What both add to the usual settings; every ``usual_interval``-th layer looks back without a window.

    Raises:
        ForeignModelError: it has what thord has not.
    """
    activation = config.hidden_activation or _ACTIVATION
    refuse(file, activation != _ACTIVATION, f"hidden_activation '{activation}'")
    refuse(file, config.attention_bias, "attention_bias")
    refuse(file, bool(config.use_bidirectional_attention), "use_bidirectional_attention")
    layers = config.num_hidden_layers
    kinds = config.layer_types or [
        "sliding_attention" if layer % usual_interval else "full_attention" for layer in range(1, layers + 1)
    ]
    interval = decoder.interval([kind == "full_attention" for kind in kinds])
    refuse(file, interval is None or len(kinds) != layers, "windows in layers at no even interval")
    return {
        "window": config.sliding_window or 0,
        "global_interval": interval,
        "norm_kind": "rms_offset",
        "norm_placement": "sandwich",
        "mlp": "geglu",
        "attention_multiplier": config.query_pre_attn_scalar**-0.5,
        "embedding_multiplier": config.hidden_size**0.5,
        "logits_softcap": config.final_logit_softcapping or 0.0,
    }


def keys(shape: ThorShape, model_type: str, architecture: str) -> dict[str, JsonValue]:
    """The keys of both."""
    return {
        **decoder.keys(shape, model_type, architecture),
        "hidden_act": _ACTIVATION,
        "hidden_activation": _ACTIVATION,
        "query_pre_attn_scalar": round((shape.attention_multiplier or shape.width**-0.5) ** -2),
        "sliding_window": shape.window or None,
        "layer_types": ["sliding_attention" if window else "full_attention" for window in shape.windows],
        "final_logit_softcapping": shape.logits_softcap or None,
    }
