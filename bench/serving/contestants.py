"""Who answers: ours and its peers, each with the same weights in each of its formats."""

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.config.inference import Quantization
from engine.native import library
from serving.cases import Case
from serving.ours import Ours
from serving.peers import gguf_file
from serving.weights import Answers, Prompts, Shape, Weights, hugging_face

FORMATS: dict[str, tuple[Quantization, str]] = {
    "bf16": ("none", "BF16"),
    "int8": ("int8", "Q8_0"),
    "int4": ("int4", "Q4_0"),
}
"""What ours and llama.cpp call them."""


@dataclass(frozen=True)
class Contestant:
    """Somebody who answers.

    Attributes:
        name: as the goals have it.
        generate: greedy answers of one length to prompts that come at once.
        arrive: seconds until prompts that come at these seconds are answered; null: it does not take any later.
        weight_bytes: what its weights take.
    """

    name: str
    generate: Callable[[Prompts, int], Answers]
    weight_bytes: int
    arrive: Callable[[Prompts, Sequence[float], int], float] | None = None


def make(
    weights: Weights, shape: Shape, device: str, formats: Sequence[str], peers: Sequence[str], cases: Sequence[Case]
) -> list[Contestant]:
    """All that are asked for and installed, with room for what the cases want."""
    found = []
    for name in formats:
        ours = Ours(weights.version, torch.bfloat16, device, quantization=FORMATS[name][0])
        found.append(Contestant(f"ours {name}", ours.generate, ours.weight_bytes, ours.arrivals))
    slow = device == "cpu" and str(library.chosen()) not in ("avx512bf16", "amx")
    if slow and "transformers" in peers:
        print("SKIPPED: transformers: torch multiplies bfloat16 slowly without instructions for it", file=sys.stderr)
    elif "transformers" in peers and "bf16" in formats and (module := peer("transformers")) is not None:
        theirs = module.Transformers(hugging_face(weights), torch.bfloat16, device)
        size = sum(weight.nbytes for weight in theirs.model.parameters())
        found.append(Contestant("transformers bf16", theirs.generate, size, theirs.arrivals))
    if "llama.cpp" in peers and device == "cpu" and (module := peer("llama_cpp")) is not None:
        at_once = [case for case in cases if not case.between]
        rows = max((case.clients for case in at_once), default=1)
        length = max((sum(case.lengths(shape)) for case in at_once), default=1)
        for kind in (FORMATS[name][1] for name in formats):
            file = llama_file(weights, shape, kind)
            model = module.LlamaCpp(file, rows, length, torch.get_num_threads())
            found.append(Contestant(f"llama.cpp {kind}", model.generate, file.stat().st_size))
    return found


def llama_file(weights: Weights, shape: Shape, kind: str) -> Path:
    """The weights as llama.cpp reads them, written at the first call."""
    file = weights.version.parents[2] / f"{kind}.gguf"
    if not file.exists():
        draft = file.with_suffix(".draft")
        if kind in {"BF16", "F32"}:
            gguf_file.write(weights.version / "model.safetensors", draft, shape, kind)
        else:
            importlib.import_module("serving.peers.llama_cpp").quantize(llama_file(weights, shape, "BF16"), draft, kind)
        draft.rename(file)
    return file


def peer(name: str):
    """A peer's module; null, and a word about it, where it is not installed."""
    try:
        return importlib.import_module(f"serving.peers.{name}")
    except (ImportError, OSError, RuntimeError) as error:
        print(f"SKIPPED: {name}: {error}", file=sys.stderr)
        return None
