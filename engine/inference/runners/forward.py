"""One forward pass of one version: prompts go on being read, and answers get their newest token into the cache.

The kernel takes the tokens of all of them at once, because a row's result does not depend on the batch. Elsewhere each
prompt is read alone and answers are decoded in a bucket, the shapes of `engine.inference.scheduling.batching`; on a GPU
a graph does the latter (`engine.inference.runners.graphs`).

Shapes: T tokens of one stretch, M of all, B rows, D hidden, N choices to make, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.inference.native.program import NativeDecoder
from engine.inference.scheduling.batching import SMALLEST_BUCKET, bucket, lengths, padded
from engine.inference.versions.slots import Resident


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens that one cache row goes on with, after ``start`` that it holds."""

    row: int
    start: int
    tokens: Sequence[int]


def hidden(resident: Resident, prompts: Sequence[Stretch], newest: Sequence[Stretch]) -> tuple[list[Tensor], Tensor]:
    """Take all tokens into the cache: hidden states [T, D] of each prompt's, and [B, D] of the newest, one a row."""
    if isinstance(resident.model, NativeDecoder):
        lengths = [len(each.tokens) for each in prompts]
        states_MD = _of_all(resident, resident.model, [*prompts, *newest])
        *read, newest_BD = torch.split(states_MD, [*lengths, len(newest)])
        return read, newest_BD
    read = [_of_prompt(resident, each) for each in prompts]
    if not newest:
        return read, torch.empty(0, 0, device=resident.device)
    padding = [Stretch(resident.padding_row, 0, (0,))] * (bucket(len(newest)) - len(newest))
    rows = [*newest, *padding]
    replayed_B1D = resident.graphs.step(
        [each.tokens[0] for each in rows], [each.row for each in rows], [each.start for each in rows]
    )
    newest_B1D = _of_rows(resident, rows) if replayed_B1D is None else replayed_B1D
    return read, newest_B1D[: len(newest), 0]


def depends_on_shapes(resident: Resident) -> bool:
    """Each shape is computed in a way of its own, as torch does; not so the kernel."""
    return not isinstance(resident.model, NativeDecoder)


def length_step(resident: Resident) -> int:
    """Chunks of prompts are padded to multiples of it."""
    return lengths(resident.cache).step if depends_on_shapes(resident) else 1


def scores(resident: Resident, hidden_TD: Tensor) -> Tensor:
    """Scores [T, V] after each token of a chunk."""
    count = len(hidden_TD)
    return resident.model.logits(F.pad(hidden_TD, (0, 0, 0, -count % length_step(resident))))[:count]


def logits(resident: Resident, read: Sequence[Tensor], newest_BD: Tensor) -> Tensor:
    """Scores [N, V]: after each of the prompts whose last hidden state [D] is given, then after the newest tokens."""
    model = resident.model
    if isinstance(model, NativeDecoder):
        return model.logits(torch.cat([last_D[None] for last_D in read] + [newest_BD]))
    # A prompt's in the smallest bucket: they are what a decoded row would get.
    scores = [model.logits(last_D.expand(SMALLEST_BUCKET, -1))[:1] for last_D in read]
    if len(newest_BD):
        size = bucket(len(newest_BD))
        scores.append(model.logits(F.pad(newest_BD, (0, 0, 0, size - len(newest_BD))))[: len(newest_BD)])
    return torch.cat(scores)


def _of_all(resident: Resident, decoder: NativeDecoder, stretches: Sequence[Stretch]) -> Tensor:
    """The tokens of all, one after the other: hidden states [M, D]."""
    tokens = [token for each in stretches for token in each.tokens]
    rows = [each.row for each in stretches for _ in each.tokens]
    positions = [each.start + place for each in stretches for place in range(len(each.tokens))]
    return decoder.read(torch.tensor(tokens), resident.cache, torch.tensor(rows), torch.tensor(positions))


def _of_prompt(resident: Resident, prompt: Stretch) -> Tensor:
    """A prompt's hidden states [T, D]. What is written as padding behind it, the next tokens of its row overwrite."""
    length = len(prompt.tokens)
    padding = padded(length, prompt.start, resident.cache) - length
    tokens = [*prompt.tokens, *[0] * padding]
    return _of_rows(resident, [Stretch(prompt.row, prompt.start, tokens)])[0, :length]


def _of_rows(resident: Resident, stretches: Sequence[Stretch]) -> Tensor:
    """Stretches of one length: hidden states [B, T, D]."""
    device = resident.device
    return resident.model.step(
        torch.tensor([each.tokens for each in stretches], device=device),
        resident.cache,
        torch.tensor([each.row for each in stretches], device=device),
        torch.tensor([each.start for each in stretches], device=device),
    )
