"""JSON of a schema by the starter model, beside llama.cpp with its own grammar.

``python bench/bench_json.py --from FILE.gguf``: the same weights in bfloat16, the same prompts, greedy, one client and
eight, in turn. Every answer is checked against the schema. The goal: at least as many tokens a second.

With ``--overhead`` sixteen clients get answers of a schema, and as many tokens of free text, in turn: the goal is a
cost of 5 % at most.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence

import harness
import processor
import torch
from serving import contestants
from serving.ours import Ours

from engine.data.samples import Message
from engine.inference.constraints.cache import CompiledStructures
from engine.inference.constraints.structures import JsonStructure
from engine.tokenizers.base import Tokenizer

GOAL = 1.0
LENGTH = 96
CLIENTS = (1, 8)
KINDS = ["friend", "colleague", "stranger"]
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "city": {"type": "string", "maxLength": 12},
        "kind": {"enum": KINDS},
        "known": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 8}, "minItems": 3, "maxItems": 3},
    },
    "required": ["name", "city", "kind", "known", "tags"],
    "additionalProperties": False,
}
MOST_OVERHEAD = 0.05
LONG: dict[str, object] = {
    "type": "array",
    "items": {"type": "string", "maxLength": 8},
    "minItems": 100,
    "maxItems": 100,
}
"""It ends after more than `LENGTH` tokens, so that all answers are as long as free ones."""
_WORDS = "river stone window garden music winter bridge market engine island letter forest".split()


def main() -> int:
    """Measure, print, and say whether the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", required=True, metavar="FILE", help="the starter's GGUF file")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--overhead", action="store_true", help="beside free text, without the peer")
    options = parser.parse_args()
    processor.require_kernels()
    if options.overhead:
        return overhead(options.source, options.rounds, options.threads)
    module = contestants.peer("llama_grammar")
    if module is None:
        return 0
    with harness.thord("inference.precision=bf16") as service:
        service.ctl("import", "starter", "--promote", "--from", options.source)
        file = service.home / "starter.gguf"
        service.ctl("export", "gguf", "--type", "bf16", "--out", str(file))
        service.ctl("stop")
        torch.set_num_threads(options.threads)
        ours = Ours(service.home / "models/versions/000001", torch.bfloat16, "cpu")
        theirs = module.LlamaGrammar(file, max(CLIENTS), 256, options.threads, SCHEMA)
        structure = CompiledStructures().compiled(JsonStructure(SCHEMA), ours.tokenizer)
        draws, rows, shares = random.Random(7), [], []
        for clients in CLIENTS:
            rates: dict[str, list[float]] = {"thord": [], "llama.cpp": []}
            for _ in range(options.rounds + 1):  # the first warms up
                prompts = [prompt_of(ours.tokenizer, draws) for _ in range(clients)]
                began = time.perf_counter()
                answers = ours.generate(prompts, LENGTH, structure).tokens
                rates["thord"].append(sum(map(len, answers)) / (time.perf_counter() - began))
                check(ours.tokenizer, answers)
                began = time.perf_counter()
                answers = theirs.constrained(prompts, LENGTH)
                rates["llama.cpp"].append(sum(map(len, answers)) / (time.perf_counter() - began))
                check(ours.tokenizer, answers)
            own, other = (harness.median(each[1:]) for each in rates.values())
            shares.append(own / other)
            rows.append([f"{clients}", f"{own:.1f}", f"{other:.1f}", f"{own / other:.2f}"])
        ours.close()
        theirs.close()
    harness.table("tokens a second of JSON", rows, ["clients", "thord", "llama.cpp", "ratio"])
    print(f"goal of {GOAL}: {harness.verdict(reached=min(shares) >= GOAL)}")
    return 0 if min(shares) >= GOAL else 1


def overhead(source: str, rounds: int, threads: int, clients: int = 16) -> int:
    """Measure what a schema costs beside free text, print, and say whether the goal is reached."""
    with harness.thord("inference.precision=bf16") as service:
        service.ctl("import", "starter", "--promote", "--from", source)
        service.ctl("stop")
        torch.set_num_threads(threads)
        ours = Ours(service.home / "models/versions/000001", torch.bfloat16, "cpu")
        structure = CompiledStructures().compiled(JsonStructure(LONG), ours.tokenizer)
        draws, rates = random.Random(7), {"free text": list[float](), "of a schema": list[float]()}
        for _ in range(rounds + 1):  # the first warms up
            for name, constraint in (("free text", None), ("of a schema", structure)):
                prompts = [prompt_of(ours.tokenizer, draws) for _ in range(clients)]
                began = time.perf_counter()
                answers = ours.generate(prompts, LENGTH, constraint).tokens
                assert all(len(answer) == LENGTH for answer in answers)
                rates[name].append(clients * LENGTH / (time.perf_counter() - began))
        ours.close()
    free, held = (harness.median(each[1:]) for each in rates.values())
    rows = [[name, f"{harness.median(each[1:]):.1f}"] for name, each in rates.items()]
    harness.table(f"tokens a second, {clients} clients", rows, ["", "thord"])
    print(
        f"overhead {1 - held / free:.1%}, goal at most {MOST_OVERHEAD:.0%}: "
        f"{harness.verdict(reached=1 - held / free <= MOST_OVERHEAD)}"
    )
    return 0 if 1 - held / free <= MOST_OVERHEAD else 1


def prompt_of(tokenizer: Tokenizer, draws: random.Random) -> list[int]:
    """A chat that no other has begun: what was read for one is not read again."""
    words = " ".join(draws.choices(_WORDS, k=6))
    asked = f"{words}. Describe a person as JSON: name, city, kind, known, tags"
    return tokenizer.encode_prompt([Message("user", asked)])


def check(tokenizer: Tokenizer, answers: Sequence[Sequence[int]]) -> None:
    """Every answer is whole and of the schema.

    Raises:
        ValueError: one is not.
    """
    for answer in answers:
        found = json.loads(tokenizer.decode([token for token in answer if token not in tokenizer.specials]))
        if set(found) != set(SCHEMA["required"]) or found["kind"] not in KINDS or len(found["tags"]) != 3:
            raise ValueError(f"not of the schema: {found}")


if __name__ == "__main__":
    sys.exit(main())
