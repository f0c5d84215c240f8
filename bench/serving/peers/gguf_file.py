"""The weights in llama.cpp's own format."""

from pathlib import Path

import gguf
from safetensors.torch import load_file

from engine.families.gpt2 import Gpt2Shape
from engine.families.thor import ThorShape
from serving.weights import Shape


def write(weights: Path, target: Path, shape: Shape, kind: str) -> None:
    """The weights as GGUF, matrices in ``kind`` (BF16, F32 or Q8_0), without a tokenizer."""
    model = shape.settings.shape
    arch = "gpt2" if isinstance(model, Gpt2Shape) else "llama"
    writer = gguf.GGUFWriter(target, arch)
    writer.add_context_length(model.context)
    writer.add_embedding_length(model.hidden)
    writer.add_block_count(model.layers)
    writer.add_head_count(model.heads)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_tokenizer_model("no_vocab")
    if isinstance(model, Gpt2Shape):
        writer.add_feed_forward_length(4 * model.hidden)
        writer.add_layer_norm_eps(model.norm_epsilon)
        names = _GPT2
    else:
        assert isinstance(model, ThorShape)
        writer.add_feed_forward_length(model.feed_forward)
        writer.add_head_count_kv(model.kv_heads)
        writer.add_layer_norm_rms_eps(model.norm_epsilon)
        writer.add_rope_dimension_count(model.width)
        writer.add_rope_freq_base(model.rope_theta)
        names = _LLAMA
    quantized = gguf.GGMLQuantizationType[kind]
    for name, weight in load_file(weights).items():
        parts = name.split(".")
        layer = next((part for part in parts if part.isdigit()), None)
        known = name.replace(f".{layer}.", ".N.") if layer is not None else name
        target_name = names[known].replace("N", str(layer))
        array = weight.float()
        if arch == "gpt2" and array.ndim == 2 and ".h." in name:
            array = array.t().contiguous()  # ours are [inputs, outputs]
        if target_name.endswith(("attn_q.weight", "attn_k.weight")):
            heads = model.heads if "attn_q" in target_name else model.kv_heads
            array = (
                array.view(heads, 2, -1, array.shape[1]).transpose(1, 2).reshape(array.shape)
            )  # llama.cpp turns neighbours
        matrix = array.ndim == 2 and "position" not in target_name
        of = quantized if matrix else gguf.GGMLQuantizationType.F32
        data = gguf.quants.quantize(array.numpy(), of)
        writer.add_tensor(target_name, data, raw_dtype=of)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


_GPT2 = {
    "transformer.wte.weight": "token_embd.weight",
    "transformer.wpe.weight": "position_embd.weight",
    "transformer.ln_f.weight": "output_norm.weight",
    "transformer.ln_f.bias": "output_norm.bias",
    **{
        f"transformer.h.N.{ours}.{part}": f"blk.N.{theirs}.{part}"
        for ours, theirs in {
            "ln_1": "attn_norm",
            "attn.c_attn": "attn_qkv",
            "attn.c_proj": "attn_output",
            "ln_2": "ffn_norm",
            "mlp.c_fc": "ffn_up",
            "mlp.c_proj": "ffn_down",
        }.items()
        for part in ("weight", "bias")
    },
}
_LLAMA = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    **{
        f"model.layers.N.{ours}.weight": f"blk.N.{theirs}.weight"
        for ours, theirs in {
            "input_layernorm": "attn_norm",
            "self_attn.q_proj": "attn_q",
            "self_attn.k_proj": "attn_k",
            "self_attn.v_proj": "attn_v",
            "self_attn.o_proj": "attn_output",
            "post_attention_layernorm": "ffn_norm",
            "mlp.gate_proj": "ffn_gate",
            "mlp.up_proj": "ffn_up",
            "mlp.down_proj": "ffn_down",
        }.items()
    },
}
