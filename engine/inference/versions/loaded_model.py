"""One version in memory: what computes it, its cache, and what writing a prompt for it needs."""

from dataclasses import dataclass

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
        base: weights that other versions can share: its own where it is whole, its base's where it is unmerged.
        cache: rows for the sequences that run on this version, and one for padding.
        rows: who has which of them; all but the padding's.
        forward: a forward pass of the model with this cache.
        runner: what the engine computes with.
    """

    def __init__(self, loaded: LoadedVersion, rows: int, model: Decoder, base: SharedBase | None = None) -> None:
        """``model`` is what computes: the version's own module, or what was made of its weights."""
        self.base = base
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
    def weight_bytes(self) -> int:
        """Bytes that weights take."""
        return footprint.of_weights(self.model)

    @property
    def bytes(self) -> int:
        """Bytes that weights take, and now the cache."""
        return self.weight_bytes + self.cache.held_bytes
