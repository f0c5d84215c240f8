"""The peer transformers: a static batch by ``generate``, continuous batching by ``generate_batch``'s manager."""

import time
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig

from serving.weights import Answers, Prompts


class Transformers:
    """The Hugging Face model, loaded once."""

    def __init__(self, folder: Path, dtype: torch.dtype, device: str) -> None:
        transformers.logging.set_verbosity_error()
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa")
        self.model.to(device).eval()
        self.device = device

    @torch.inference_mode()
    def generate(self, prompts: Prompts, length: int) -> Answers:
        """A static batch: prompts of one length, greedy answers of ``length``."""
        ids = torch.tensor(prompts, device=self.device)
        mask = torch.ones_like(ids)
        out = self.model.generate(
            ids,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=length,
            min_new_tokens=length,
            eos_token_id=None,
            pad_token_id=0,
        )
        return Answers([row[ids.shape[1] :] for row in out.tolist()], None)

    def arrivals(self, prompts: Prompts, times: Sequence[float], length: int) -> float:
        """Continuous batching of requests that come at these seconds; how long until all are answered."""
        options = GenerationConfig(max_new_tokens=length, do_sample=False, eos_token_id=-1, pad_token_id=0)
        cache = ContinuousBatchingConfig(num_blocks=4 * len(prompts), max_batch_tokens=512)  # else it takes all memory
        with self.model.continuous_batching_context_manager(options, continuous_batching_config=cache) as manager:
            began = time.perf_counter()
            for prompt, due in zip(prompts, times, strict=True):
                time.sleep(max(0.0, began + due - time.perf_counter()))
                manager.add_request(list(prompt), max_new_tokens=length)
            for _ in prompts:
                result = manager.get_result(timeout=120)
                if result is None or len(result.generated_tokens) != length:
                    raise RuntimeError(f"continuous batching gave {result} instead of {length} tokens")
            return time.perf_counter() - began  # without the manager's end
