"""What fewer bits cost: a version's weights in each of our formats and of llama.cpp's, on the same text.

The text is cut into windows that are read by themselves; all of a window but its first token are scored. Beside
perplexity stands the divergence of the probabilities from ours in float32: it is no lower for rounding by good luck."""

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import harness
import torch
from torch import Tensor

from engine import version
from engine.config.inference import Quantization
from engine.device import Placement
from engine.gguf import exporting
from engine.inference.runners import decoders
from engine.models import registry
from serving import contestants

_WINDOW = 512
_CPU = torch.device("cpu")
_PAIRS = (("ours int8", "llama.cpp Q8_0"), ("ours int4", "llama.cpp Q4_0"))


@dataclass
class Scorer:
    """A form of the weights, and what has been found of it."""

    name: str
    bits: float
    """Of memory, for each weight."""
    scores: Callable[[Sequence[int]], Tensor]
    """Over the vocabulary, of each token of a window."""
    loss: float = 0.0
    divergence: float = 0.0
    tokens: int = 0

    def take(self, window: Sequence[int], exact: Tensor) -> None:
        """Add what a window says, given the log-probabilities that are compared with."""
        logprobs = torch.log_softmax(self.scores(window)[:-1], dim=-1)
        targets = torch.tensor(window[1:])[:, None]
        self.loss -= float(logprobs.gather(1, targets).sum())
        self.divergence += float((exact.exp() * (exact - logprobs)).sum(dtype=torch.float64))
        self.tokens += len(window) - 1


@torch.inference_mode()
def compare(folder: Path, text: Path, windows: int) -> None:
    """Read so many windows of the text with everybody, and print the table."""
    stored = version.load(folder, Placement(_CPU, torch.float32))
    ids = stored.tokenizer.encode(text.read_text(encoding="utf-8")[: windows * _WINDOW * 8])
    parts = [ids[at : at + _WINDOW] for at in range(0, len(ids) - _WINDOW + 1, _WINDOW)][:windows]
    length = sum(len(stored.tokenizer.decode(part[1:]).encode()) for part in parts)
    weights = registry.parameter_count(stored.config.model, stored.config.vocabulary)
    del stored
    with tempfile.TemporaryDirectory() as home:
        scorers = [*_ours(folder, weights), *_theirs(folder, Path(home), weights)]
        for part in parts:
            exact = torch.log_softmax(scorers[0].scores(part)[:-1], dim=-1)
            for each in scorers:
                each.take(part, exact)
    rows = [
        [
            each.name,
            f"{each.bits:.2f}",
            f"{math.exp(each.loss / each.tokens):.4f}",
            f"{each.loss / math.log(2) / length:.5f}",
            f"{each.loss / scorers[0].loss - 1:+.3%}",
            f"{each.divergence / each.tokens * 1e3:.3f}",
        ]
        for each in scorers
    ]
    head = ["", "bits a weight", "perplexity", "bits per byte", "loss", "divergence, 1/1000 nat"]
    harness.table(f"accuracy, {len(parts) * (_WINDOW - 1):,} tokens of {text.name}", rows, head)
    found = {each.name: each for each in scorers}
    for ours, theirs in _PAIRS:
        if theirs in found:
            for what in ("loss", "divergence"):
                ratio = getattr(found[ours], what) / getattr(found[theirs], what)
                verdict = harness.verdict(reached=ratio <= 1)
                print(f"{what}: {ours} / {theirs} = {ratio:.4f} (goal at most 1.0): {verdict}")


def _ours(folder: Path, weights: int) -> Iterator[Scorer]:
    forms: dict[str, tuple[torch.dtype, Quantization]] = {
        "ours float32": (torch.float32, "none"),
        "ours bf16": (torch.bfloat16, "none"),
        "ours int8": (torch.bfloat16, "int8"),
        "ours int4": (torch.bfloat16, "int4"),
    }
    for name, (dtype, quantization) in forms.items():
        model = decoders.prepare(version.load(folder, Placement(_CPU, dtype)).model, _CPU, quantization)
        cache = model.make_cache(1, _WINDOW)

        def scores(window: Sequence[int], model=model, cache=cache) -> Tensor:
            cache.truncate(0, 0)
            return model.logits(model.step(torch.tensor([window]), cache, torch.tensor([0]), torch.tensor([0]))[0])

        yield Scorer(name, 8 * sum(weight.nbytes for weight in model.parameters()) / weights, scores)


def _theirs(folder: Path, home: Path, weights: int) -> Iterator[Scorer]:
    llama = contestants.peer("llama_cpp")
    if llama is None:
        return
    source = home / "bf16.gguf"
    exporting.write(folder, source, "bf16")
    forms = (("BF16", True), ("Q8_0", True), ("Q4_0", True), ("Q4_0", False))
    for kind, pure in forms:
        file = source if kind == "BF16" else home / f"{kind}-{pure}.gguf"
        if file != source:
            llama.quantize(source, file, kind, pure=pure)
        model = llama.LlamaCpp(file, 1, _WINDOW, torch.get_num_threads())
        name = f"llama.cpp {kind}" + ("" if pure else ", head in Q6_K")
        yield Scorer(
            name, 8 * file.stat().st_size / weights, lambda part, model=model: torch.tensor(model.scores(part))
        )
