"""One version in memory: what computes it, its cache, and what writing a prompt for it needs."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.config.inference import Form
from engine.inference.requests import Sampling, sampling_of
from engine.inference.runners import forward
from engine.inference.runners.model_runner import ModelRunner
from engine.inference.scheduling.cache_rows import CacheRows
from engine.inference.versions import footprint
from engine.models.base import Decoder
from engine.tokenizers.base import Tokenizer
from engine.version import LoadedVersion


@dataclass(frozen=True)
class PromptSpec:
    """What writing a prompt needs to know of a version. It stays while its weights are replaced."""

    version: int
    tokenizer: Tokenizer
    vocabulary: int
    context: int
    defaults: Sampling
    """How the model is meant to be sampled from, where a request does not say."""


@dataclass(frozen=True)
class SharedBase:
    """The weights of a whole version in memory, with the sum of their file, beside which adapters are computed."""

    sha256: str
    decoder: Decoder


class LoadedModel:
    """One version in memory.

    Attributes:
        own_bytes: of its adapter, where that lies beside `weights`; counted once, for there may be many versions.
        base: weights that other versions can share: its own where it is whole, its base's where it is unmerged.
        cache: rows for the sequences that run on this version, and one for padding.
        rows: who has which of them; all but the padding's.
        forward: a forward pass of the model with this cache.
        runner: what the engine computes with.
    """

    def __init__(self, loaded: LoadedVersion, rows: int, model: Decoder, base: SharedBase | None = None) -> None:
        """``model`` is what computes: the version's own module, or what was made of its weights."""
        self.base = base
        self.own_bytes = 0 if base is None else footprint.of_weights(model) - footprint.of_weights(base.decoder)
        self.version = loaded.manifest.version
        self.model = model
        self.tokenizer = loaded.tokenizer
        self.manifest = loaded.manifest
        self.context = loaded.model.context
        self.cache = model.make_cache(rows, loaded.model.context)
        defaults = sampling_of(loaded.generation)
        self.prompt_spec = PromptSpec(self.version, loaded.tokenizer, loaded.model.vocabulary, self.context, defaults)
        self.device = next(model.parameters()).device
        self.rows = CacheRows(self.cache, rows)
        self.forward = forward.of(model, self.cache, rows, self.device)
        self.runner = ModelRunner(self.forward)

    @property
    def prompt_step(self) -> int:
        """As `engine.inference.runner.Runner`."""
        return self.runner.prompt_step

    @property
    def form(self) -> Form:
        """Whether it has weights of its own, and where its adapter is if it is one."""
        if self.manifest.base is None:
            return "whole"
        return "merged" if self.base is None else "unmerged"

    @property
    def weights(self) -> Decoder:
        """What holds the weights that others can share; without such, all of its own."""
        return self.model if self.base is None else self.base.decoder

    @property
    def weight_bytes(self) -> int:
        """Bytes that weights take."""
        return footprint.of_weights(self.weights) + self.own_bytes

    @property
    def bytes(self) -> int:
        """Bytes that weights take, and now the cache."""
        return self.weight_bytes + self.cache.held_bytes


def shares(models: Mapping[int, LoadedModel], first: int | None) -> dict[int, int]:
    """Bytes of weights of each version, those that several share counted once: for ``first`` where it has them."""
    seen: set[int] = set()
    found: dict[int, int] = {}
    for number in sorted(models, key=lambda number: (number != first, number)):
        model = models[number]
        found[number] = model.own_bytes + (0 if id(model.weights) in seen else footprint.of_weights(model.weights))
        seen.add(id(model.weights))
    return found
