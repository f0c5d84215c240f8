"""That everybody does the same work."""

import random

import torch

from serving import contestants
from serving.ours import Ours
from serving.weights import Shape, Weights, draw, hugging_face


def check(weights: Weights, shape: Shape, device: str) -> None:
    """In float32 everybody says the same.

    Raises:
        SystemExit: somebody does not.
    """
    prompts = draw(random.Random(0), shape, 2, shape.prompt)
    length = min(16, shape.answer)
    ours = Ours(weights.version, torch.float32, device)
    said = ours.generate(prompts, length).tokens
    ours.close()
    if (transformers := contestants.peer("transformers")) is not None:
        theirs = transformers.Transformers(hugging_face(weights), torch.float32, device).generate(prompts, length)
        if said != theirs.tokens:
            raise SystemExit(f"not the same work: ours say {said}, transformers {theirs.tokens}")
        print(f"checked: in float32 the greedy tokens of ours and transformers are equal ({length} each)")
    if device == "cpu" and (llama := contestants.peer("llama_cpp")) is not None:
        file = contestants.llama_file(weights, shape, "F32")
        other = llama.LlamaCpp(file, len(prompts), shape.prompt + length, torch.get_num_threads(), exact=True)
        theirs = other.generate(prompts, length).tokens
        other.close()
        alike = sum(
            a == b for ours_, others in zip(said, theirs, strict=True) for a, b in zip(ours_, others, strict=True)
        )
        # Only the first tokens must be equal: llama.cpp looks GELU up in a table of float16.
        if [answer[0] for answer in said] != [answer[0] for answer in theirs]:
            raise SystemExit(f"not the same work: ours say {said}, llama.cpp {theirs}")
        print(f"checked: llama.cpp in float32 says {alike} of the same {length * len(prompts)} tokens")
