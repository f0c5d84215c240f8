"""Names of tensors in GGUF files, for those of thord's families."""

import re

from engine.families.family import ModelShape
from engine.families.thor import ThorShape

TOKEN_EMBEDDING, HEAD, ROPE_FACTORS = "token_embd.weight", "output.weight", "rope_freqs.weight"
ROPE_LONG, ROPE_SHORT = "rope_factors_long.weight", "rope_factors_short.weight"
_LAYER = re.compile(r"^(.*\.)(\d+)\.(.*)$")
_THOR = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers.N.input_layernorm": "blk.N.attn_norm",
    "model.layers.N.self_attn.q_proj": "blk.N.attn_q",
    "model.layers.N.self_attn.k_proj": "blk.N.attn_k",
    "model.layers.N.self_attn.v_proj": "blk.N.attn_v",
    "model.layers.N.self_attn.qkv_proj": "blk.N.attn_qkv",
    "model.layers.N.self_attn.o_proj": "blk.N.attn_output",
    "model.layers.N.self_attn.q_norm": "blk.N.attn_q_norm",
    "model.layers.N.self_attn.k_norm": "blk.N.attn_k_norm",
    "model.layers.N.post_attention_layernorm": "blk.N.ffn_norm",
    "model.layers.N.mlp.gate_proj": "blk.N.ffn_gate",
    "model.layers.N.mlp.up_proj": "blk.N.ffn_up",
    "model.layers.N.mlp.gate_up_proj": "blk.N.ffn_up",
    "model.layers.N.mlp.down_proj": "blk.N.ffn_down",
}
_NORMED_BEHIND = _THOR | {
    "model.layers.N.post_attention_layernorm": "blk.N.post_attention_norm",
    "model.layers.N.pre_feedforward_layernorm": "blk.N.ffn_norm",
    "model.layers.N.post_feedforward_layernorm": "blk.N.post_ffw_norm",
}
"""Where a norm stands behind attention, and one behind the feed-forward layers."""
_GPT2 = {
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    "transformer.h.N.ln_1": "blk.N.attn_norm",
    "transformer.h.N.attn.c_attn": "blk.N.attn_qkv",
    "transformer.h.N.attn.c_proj": "blk.N.attn_output",
    "transformer.h.N.ln_2": "blk.N.ffn_norm",
    "transformer.h.N.mlp.c_fc": "blk.N.ffn_up",
    "transformer.h.N.mlp.c_proj": "blk.N.ffn_down",
}


def in_gguf(name: str, shape: ModelShape) -> str:
    """What a tensor of a ``thor`` or ``gpt2`` is called there."""
    known = _GPT2
    if isinstance(shape, ThorShape):
        known = _THOR if shape.norm_placement == "pre" else _NORMED_BEHIND
    stem, part = name.rsplit(".", 1)
    layered = _LAYER.match(stem + ".")
    if layered is None:
        return f"{known[stem]}.{part}"
    before, layer, after = layered.groups()
    theirs = known[before + "N." + after.rstrip(".")]
    return f"{theirs.replace('N', layer)}.{part}"
