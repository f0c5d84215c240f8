"""One forward pass of one version: prompts go on being read, and answers get their newest token into the cache.

The kernel takes the tokens of all of them at once, because there a row's result does not depend on the batch, and those
of all versions that share a base (`engine.inference.runners.together`). Elsewhere each prompt is read alone and answers
are decoded in a bucket, the shapes of `engine.inference.runners.shapes`; on a GPU a graph does the latter
(`engine.inference.runners.graphs`).

Shapes: T tokens of one span, M of all, B rows, D hidden, N choices to make, V vocabulary.
"""

import itertools
from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.inference.native.decoder import NativeDecoder, Part
from engine.inference.runner import TokenSpan
from engine.inference.runners.graphs import StepGraphs
from engine.inference.runners.shapes import SMALLEST_BUCKET, bucket, lengths, padded
from engine.models.attention import KeyValueCache
from engine.models.base import Cache, Decoder


class Forward(Protocol):
    """A decoder together with its cache."""

    @property
    def depends_on_shapes(self) -> bool:
        """Each shape is computed in a way of its own."""
        ...

    @property
    def prompt_step(self) -> int:
        """Chunks of prompts are padded to multiples of it."""
        ...

    def hidden(self, prompts: Sequence[TokenSpan], newest: Sequence[TokenSpan]) -> tuple[list[Tensor], Tensor]:
        """Take all tokens into the cache: hidden states [T, D] of each prompt's, and [B, D] of the newest."""
        ...

    def scores(self, hidden_TD: Tensor) -> Tensor:
        """Scores [T, V] after each token of a chunk."""
        ...

    def logits(self, read: Sequence[Tensor], newest_BD: Tensor) -> Tensor:
        """Scores [N, V]: after each prompt whose last hidden state [D] is given, then after the newest tokens."""
        ...


def of(model: Decoder, cache: Cache, padding_row: int, device: torch.device) -> "KernelForward | TorchForward":
    """The pass that suits a decoder."""
    if isinstance(model, NativeDecoder) and isinstance(cache, KeyValueCache):
        return KernelForward(model, cache)
    return TorchForward(model, cache, padding_row, device)


class KernelForward:
    """By the kernel. Implements `Forward`."""

    depends_on_shapes = False
    prompt_step = 1

    def __init__(self, decoder: NativeDecoder, cache: KeyValueCache) -> None:
        self.decoder = decoder
        self._cache = cache

    def hidden(self, prompts: Sequence[TokenSpan], newest: Sequence[TokenSpan]) -> tuple[list[Tensor], Tensor]:
        """As the Protocol."""
        return hidden_of_several([(self, prompts, newest)])

    def scores(self, hidden_TD: Tensor) -> Tensor:
        """As the Protocol."""
        return self.decoder.logits(hidden_TD)

    def logits(self, read: Sequence[Tensor], newest_BD: Tensor) -> Tensor:
        """As the Protocol."""
        hidden_ND = torch.cat((torch.stack(tuple(read)), newest_BD)) if read else newest_BD
        return self.decoder.logits(hidden_ND)

    def part(self, spans: Sequence[TokenSpan]) -> Part:
        """Tokens of this version, as the kernel takes them."""
        return Part(
            self.decoder,
            self._cache,
            torch.tensor([token for each in spans for token in each.tokens]),
            torch.tensor([each.row for each in spans for _ in each.tokens]),
            torch.tensor([each.start + place for each in spans for place in range(len(each.tokens))]),
        )


def hidden_of_several(
    works: Sequence[tuple[KernelForward, Sequence[TokenSpan], Sequence[TokenSpan]]],
) -> tuple[list[Tensor], Tensor]:
    """Hidden states of the prompts of all, then of the newest tokens of all: versions that share a program, in one
    pass. No number depends on which versions are computed together.
    """
    states_MD = works[0][0].decoder.read([forward.part([*prompts, *newest]) for forward, prompts, newest in works])
    sizes = [[*(len(each.tokens) for each in prompts), len(newest)] for _, prompts, newest in works]
    parts = iter(torch.split(states_MD, [size for each in sizes for size in each]))
    read: list[Tensor] = []
    newest_BD: list[Tensor] = []
    for each in sizes:
        *own, last_BD = itertools.islice(parts, len(each))
        read += own
        newest_BD.append(last_BD)
    return read, torch.cat(newest_BD) if len(newest_BD) > 1 else newest_BD[0]


class TorchForward:
    """By a family's own module. Implements `Forward`.

    On a CPU, weights in bf16 are multiplied in bf16, and what layers add up stays in float32, as the kernel has it:
    rounded to bf16 after each layer, likely answers would change places with others that are nearly as likely.

    Attributes:
        graphs: what decodes on a GPU; empty elsewhere.
    """

    depends_on_shapes = True

    def __init__(self, model: Decoder, cache: Cache, padding_row: int, device: torch.device) -> None:
        self.graphs = StepGraphs()
        self.prompt_step = lengths(cache).step
        self._model = model
        self._cache = cache
        self._padding_row = padding_row
        self._device = device
        self._in_bf16 = device.type == "cpu" and next(model.parameters()).dtype == torch.bfloat16

    def hidden(self, prompts: Sequence[TokenSpan], newest: Sequence[TokenSpan]) -> tuple[list[Tensor], Tensor]:
        """As the Protocol."""
        read = [self._of_prompt(each) for each in prompts]
        if not newest:
            return read, torch.empty(0, 0, device=self._device)
        padding = [TokenSpan(self._padding_row, 0, (0,))] * (bucket(len(newest)) - len(newest))
        rows = [*newest, *padding]
        replayed_B1D = self.graphs.step(
            [each.tokens[0] for each in rows], [each.row for each in rows], [each.start for each in rows]
        )
        newest_B1D = self._of_rows(rows) if replayed_B1D is None else replayed_B1D
        return read, newest_B1D[: len(newest), 0]

    def scores(self, hidden_TD: Tensor) -> Tensor:
        """As the Protocol."""
        count = len(hidden_TD)
        return self._model.logits(F.pad(hidden_TD, (0, 0, 0, -count % self.prompt_step)))[:count]

    def logits(self, read: Sequence[Tensor], newest_BD: Tensor) -> Tensor:
        """As the Protocol. A prompt's are computed in the smallest bucket: they are what a decoded row would get."""
        scores = [self._model.logits(last_D.expand(SMALLEST_BUCKET, -1))[:1] for last_D in read]
        if len(newest_BD):
            size = bucket(len(newest_BD))
            scores.append(self._model.logits(F.pad(newest_BD, (0, 0, 0, size - len(newest_BD))))[: len(newest_BD)])
        return torch.cat(scores)

    def _of_prompt(self, prompt: TokenSpan) -> Tensor:
        """A prompt's hidden states [T, D]. What is written as padding behind it, its row's next tokens overwrite."""
        length = len(prompt.tokens)
        padding = padded(length, prompt.start, self._cache) - length
        tokens = [*prompt.tokens, *[0] * padding]
        return self._of_rows([TokenSpan(prompt.row, prompt.start, tokens)])[0, :length]

    def _of_rows(self, spans: Sequence[TokenSpan]) -> Tensor:
        """Spans of one length: hidden states [B, T, D]."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._in_bf16, cache_enabled=False):
            return self._model.step(
                torch.tensor([each.tokens for each in spans], device=self._device),
                self._cache,
                torch.tensor([each.row for each in spans], device=self._device),
                torch.tensor([each.start for each in spans], device=self._device),
            )
