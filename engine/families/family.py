"""What a model family is, as data: its shape and sizes, where its network is, and what its weights are for."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from engine.section import Depth, Length, Section, Width

K = TypeVar("K")


class ModelShape(Section):
    """What decides the weights of a network, and what they compute. A family adds keys of ``[model]`` that it knows.

    Attributes:
        context: the longest sequence that it can attend to, in tokens.
    """

    hidden: Width
    layers: Depth
    context: Length

    def operations(self, matrices: Mapping[str, float], length: int) -> float:
        """Operations to train on one token of rows of ``length``, forward and backward.

        ``matrices`` has the size of each matrix that a token is multiplied with: six operations for each of its values
        (Chowdhery et al., PaLM, 2204.02311, appendix B).
        """
        del length
        return 6.0 * sum(matrices.values())


@dataclass(frozen=True)
class Family:
    """The facts of a family.

    Attributes:
        network: ``module:name`` of a class or function that makes its module of shape, vocabulary and dropout.
        presets: sizes by name, smallest first; all of one class. ``default`` names the one that is taken unless set.
        blocks: matches the names of the modules that repeat along depth: each can be compiled, sharded, or computed
            again as a whole. None: it has none.
        embeddings: names of weights whose rows are looked up or scored by id.
        heads: those that give the scores over the vocabulary; the first that a model has is its head.
        kernel: ``module:name`` of how the kernel computes it (`engine.inference.native.kernel_family`). None: torch
            computes it.
        layouts: ``module:name`` of each of its layouts in ``config.json`` of Hugging Face
            (`engine.huggingface.model_layout`), in the order in which they are tried for an export. None: it has only
            thord's own.
        reads_bytes: its tokens must be bytes.
        has_lstm: it computes an LSTM, which not every processor trains in bf16.
    """

    network: str
    presets: Mapping[str, ModelShape]
    default: str
    blocks: str | None
    embeddings: frozenset[str]
    heads: tuple[str, ...]
    kernel: str | None = None
    layouts: tuple[str, ...] = ()
    reads_bytes: bool = False
    has_lstm: bool = False

    @property
    def adaptable(self) -> bool:
        """Whether it has blocks of linear maps, beside which an adapter can learn."""
        return self.blocks is not None


def named(place: str | None, kind: type[K]) -> K | None:
    """What a record names as ``module:name``; None where it names nothing.

    Raises:
        TypeError: the module has no such name, or it is not of this kind.
    """
    if place is None:
        return None
    module, _, name = place.partition(":")
    found: object = getattr(importlib.import_module(module), name, None)
    if not isinstance(found, kind):
        raise TypeError(f"{place} is not a {kind.__name__}")
    return found


def check_heads(hidden: int, heads: int) -> None:
    """Whether heads share the residual stream evenly.

    Raises:
        ValueError: they do not.
    """
    if hidden % heads:
        raise ValueError(f"hidden ({hidden}) must be a multiple of heads ({heads})")
