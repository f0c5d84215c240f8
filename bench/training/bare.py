"""The peer: a loop as one writes it by hand, over a plain model with torch's own attention and cross-entropy."""

import json

import numpy as np
import torch
import torch.nn.functional as F
import work
from contestant import Contestant
from safetensors.torch import load_file
from torch import Tensor, nn


class Llama(nn.Module):
    """By the weights' names in Hugging Face's layout."""

    def __init__(self, config: dict[str, int]) -> None:
        super().__init__()
        self.config = config
        width, inner = config["hidden_size"], config["intermediate_size"]
        self.head_width = width // config["num_attention_heads"]
        kv = config["num_key_value_heads"] * self.head_width
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(config["vocab_size"], width)
        self.model.norm = nn.RMSNorm(width, config["rms_norm_eps"])
        self.model.layers = nn.ModuleList()
        for _ in range(config["num_hidden_layers"]):
            layer, layer.self_attn, layer.mlp = nn.Module(), nn.Module(), nn.Module()
            layer.input_layernorm = nn.RMSNorm(width, config["rms_norm_eps"])
            layer.post_attention_layernorm = nn.RMSNorm(width, config["rms_norm_eps"])
            for name, outputs in (("q_proj", width), ("k_proj", kv), ("v_proj", kv), ("o_proj", width)):
                layer.self_attn.add_module(name, nn.Linear(width, outputs, bias=False))
            layer.mlp.gate_proj = nn.Linear(width, inner, bias=False)
            layer.mlp.up_proj = nn.Linear(width, inner, bias=False)
            layer.mlp.down_proj = nn.Linear(inner, width, bias=False)
            self.model.layers.append(layer)
        theta = config["rope_parameters"]["rope_theta"]
        even = torch.arange(0, self.head_width, 2).float()
        angles = torch.arange(config["max_position_embeddings"])[:, None] / theta ** (even / self.head_width)
        self.register_buffer("cos", torch.cat([angles, angles], -1).cos(), persistent=False)
        self.register_buffer("sin", torch.cat([angles, angles], -1).sin(), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.model.embed_tokens(ids)
        for layer in self.model.layers:
            x = x + self._attend(layer.self_attn, layer.input_layernorm(x))
            y = layer.post_attention_layernorm(x)
            x = x + layer.mlp.down_proj(F.silu(layer.mlp.gate_proj(y)) * layer.mlp.up_proj(y))
        return F.linear(self.model.norm(x), self.model.embed_tokens.weight)

    def _attend(self, part: nn.Module, x: Tensor) -> Tensor:
        q, k, v = (
            projection(x).unflatten(-1, (-1, self.head_width)).transpose(1, 2)
            for projection in (part.q_proj, part.k_proj, part.v_proj)
        )
        y = F.scaled_dot_product_attention(self._turn(q), self._turn(k), v, is_causal=True, enable_gqa=True)
        return part.o_proj(y.transpose(1, 2).flatten(2))

    def _turn(self, x: Tensor) -> Tensor:
        cos, sin = self.cos[: x.shape[2]].to(x.dtype), self.sin[: x.shape[2]].to(x.dtype)
        first, second = x.chunk(2, dim=-1)
        return x * cos + torch.cat((-second, first), dim=-1) * sin


class Gpt2(nn.Module):
    """By the weights' names in Hugging Face's layout, in which projections are [inputs, outputs]."""

    def __init__(self, config: dict[str, int]) -> None:
        super().__init__()
        width, self.epsilon = config["n_embd"], config["layer_norm_epsilon"]
        self.head_width = width // config["n_head"]
        self.transformer = nn.Module()
        self.transformer.wte = nn.Embedding(config["vocab_size"], width)
        self.transformer.wpe = nn.Embedding(config["n_positions"], width)
        self.transformer.ln_f = nn.LayerNorm(width, self.epsilon)
        self.transformer.h = nn.ModuleList()
        for _ in range(config["n_layer"]):
            layer, layer.attn, layer.mlp = nn.Module(), nn.Module(), nn.Module()
            layer.ln_1, layer.ln_2 = nn.LayerNorm(width, self.epsilon), nn.LayerNorm(width, self.epsilon)
            layer.attn.c_attn, layer.attn.c_proj = Projection(width, 3 * width), Projection(width, width)
            layer.mlp.c_fc, layer.mlp.c_proj = Projection(width, 4 * width), Projection(4 * width, width)
            self.transformer.h.append(layer)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.transformer.wte(ids) + self.transformer.wpe.weight[: ids.shape[1]]
        for layer in self.transformer.h:
            parts = layer.attn.c_attn(layer.ln_1(x)).chunk(3, dim=-1)
            q, k, v = (part.unflatten(-1, (-1, self.head_width)).transpose(1, 2) for part in parts)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + layer.attn.c_proj(y.transpose(1, 2).flatten(2))
            x = x + layer.mlp.c_proj(F.gelu(layer.mlp.c_fc(layer.ln_2(x)), approximate="tanh"))
        return F.linear(self.transformer.ln_f(x), self.transformer.wte.weight)


class Projection(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(inputs, outputs)), nn.Parameter(torch.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x.flatten(0, -2), self.weight).unflatten(0, x.shape[:-1])


contestant = Contestant()
settings = contestant.settings
config = json.loads((contestant.folder / "model" / "config.json").read_text())
model = (Gpt2 if config["model_type"] == "gpt2" else Llama)(config)
model.load_state_dict(load_file(contestant.folder / "model" / "model.safetensors"))
model.to(contestant.device)
forward = torch.compile(model) if contestant.compiled else model
decayed = [weight for weight in model.parameters() if weight.ndim >= 2]
others = [weight for weight in model.parameters() if weight.ndim < 2]
optimizer = torch.optim.AdamW(
    [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}],
    lr=settings.learning_rate,
    betas=(settings.beta1, settings.beta2),
    eps=work.EPSILON,
    fused=True,
)
rows = torch.from_numpy(np.load(contestant.folder / "packed.npy"))
for batch in rows.split(settings.batch_size):
    ids = batch.to(contestant.device, non_blocking=True)
    with torch.autocast(contestant.device.type, torch.bfloat16, enabled=not contestant.float32):
        logits = forward(ids)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
    optimizer.step()
    optimizer.zero_grad()
    if not contestant.stepped(loss.detach(), ids[:, 1:].numel()):
        break
contestant.finished()
