"""Names of tensors in GGUF files, for those of thord's families, and how rows of queries and keys are ordered there.

llama.cpp turns neighbouring numbers of a head for its architecture ``llama``, thord and Hugging Face the two halves of
it: the rows of queries and keys are ordered accordingly. For qwen2, qwen3 and gpt2 they are not.
"""

import re

from torch import Tensor

TOKEN_EMBEDDING, HEAD, ROPE_FACTORS = "token_embd.weight", "output.weight", "rope_freqs.weight"
_LAYER = re.compile(r"^(.*\.)(\d+)\.(.*)$")
_THOR = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers.N.input_layernorm": "blk.N.attn_norm",
    "model.layers.N.self_attn.q_proj": "blk.N.attn_q",
    "model.layers.N.self_attn.k_proj": "blk.N.attn_k",
    "model.layers.N.self_attn.v_proj": "blk.N.attn_v",
    "model.layers.N.self_attn.o_proj": "blk.N.attn_output",
    "model.layers.N.self_attn.q_norm": "blk.N.attn_q_norm",
    "model.layers.N.self_attn.k_norm": "blk.N.attn_k_norm",
    "model.layers.N.post_attention_layernorm": "blk.N.ffn_norm",
    "model.layers.N.mlp.gate_proj": "blk.N.ffn_gate",
    "model.layers.N.mlp.up_proj": "blk.N.ffn_up",
    "model.layers.N.mlp.down_proj": "blk.N.ffn_down",
}
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
_NAMES = _THOR | _GPT2


def in_gguf(name: str) -> str:
    """What a tensor of ``thor`` or ``gpt2`` is called there."""
    stem, part = name.rsplit(".", 1)
    layered = _LAYER.match(stem + ".")
    if layered is None:
        return f"{_NAMES[stem]}.{part}"
    before, layer, after = layered.groups()
    known = _NAMES[f"{before}N.{after.rstrip('.')}"]
    return f"{known.replace('N', layer)}.{part}"


def is_transposed(name: str) -> bool:
    """Whether a weight of ours is [inputs, outputs], as in Hugging Face's GPT-2; in GGUF files it never is."""
    return name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))


def is_turned(name: str) -> bool:
    """Whether it has the rows of queries or keys, before any norm."""
    return ".self_attn.q_proj." in name or ".self_attn.k_proj." in name


def to_halves(rows: Tensor, width: int) -> Tensor:
    """Rows [H * E, ...] of which neighbours turn together, to those of which the two halves of a head do."""
    return rows.reshape(-1, width // 2, 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def to_neighbours(rows: Tensor, width: int) -> Tensor:
    """Rows [H * E, ...] of which the halves of a head turn together, to those of which neighbours do: as in GGUF."""
    return rows.reshape(-1, 2, width // 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)
