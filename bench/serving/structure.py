"""What it costs to hold answers to a JSON schema: sixteen clients in our engine, with and without one."""

import random
import time

import harness
import torch

from engine.inference.constraints.cache import CompiledStructures
from engine.inference.constraints.structures import JsonStructure
from serving.ours import Ours
from serving.weights import Shape, Weights, draw

_CLIENTS = 16
_PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "kind": {"enum": ["friend", "colleague", "stranger"]},
        "known": {"type": "boolean"},
    },
    "required": ["name", "age", "kind", "known"],
}
_SCHEMA = {"type": "array", "items": _PERSON, "minItems": 1000}
"""No answer comes to its end, so that all have the same number of tokens."""


def cost_of_structure(weights: Weights, shape: Shape, rounds: int, device: str) -> None:
    """Tokens a second of free answers and of such JSON, in turn."""
    draws = random.Random(5)
    ours = Ours(weights.version, torch.bfloat16, device)
    people = CompiledStructures().compiled(JsonStructure(_SCHEMA), ours.tokenizer)
    rates: dict[str, list[float]] = {"free": [], "of a schema": []}
    for _ in range(rounds + 1):  # the first warms up
        prompts = draw(draws, shape, _CLIENTS, shape.prompt)
        for name, constraint in (("free", None), ("of a schema", people)):
            began = time.perf_counter()
            answers = ours.generate(prompts, shape.answer, constraint)
            rates[name].append(sum(map(len, answers.tokens)) / (time.perf_counter() - began))
    ours.close()
    free, held = (harness.median(each[1:]) for each in rates.values())
    rows = [["free", f"{free:.1f}", ""], ["of a schema", f"{held:.1f}", f"{held / free:.3f}"]]
    harness.table(f"{_CLIENTS} clients", rows, ["answers", "tokens a second", "share"])
