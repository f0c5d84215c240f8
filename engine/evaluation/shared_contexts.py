"""Documents that begin alike: what they share is read once, and each goes on from what a cache remembers of it.

So are choices after one question, and conversations behind one system prompt. Only what is not scored is shared.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.encoded import Encoded
from engine.evaluation import scoring
from engine.models.base import Cache, LanguageModel

_LEAST_SHARE = 0.25
"""Of the tokens of a group, what must be saved: to read a cache takes longer than to attend within a row."""

_ENOUGH, _LEAST_FILLED = 128, 0.9
"""Tokens of a batch for products to be fast; a span that fills less of a row begins the next batch then."""


@dataclass(frozen=True)
class Group:
    """Documents, by number, that share their first ``context`` tokens."""

    documents: tuple[int, ...]
    context: int


def groups(documents: Sequence[Encoded], length: int) -> list[Group]:
    """Those of documents that read at most ``length`` tokens each; a document is in one group at most.

    Documents are sorted by their tokens, so that what begins alike is side by side; a group takes in the next one while
    that saves more.
    """
    ends = [_context(document) for document in documents]
    fitting = [number for number, end in enumerate(ends) if end and len(documents[number].ids) <= length + 1]
    found: list[Group] = []
    for number in sorted(fitting, key=lambda each: documents[each].ids.tolist()):
        if found:
            last = found[-1]
            most = min(last.context if len(last.documents) > 1 else ends[last.documents[0]], ends[number])
            common = _common(documents[last.documents[0]].ids[:most], documents[number].ids[:most])
            if len(last.documents) * common > (len(last.documents) - 1) * last.context:
                found[-1] = Group((*last.documents, number), common)
                continue
        found.append(Group((number,), ends[number]))
    return [group for group in found if _is_worth_it(group, documents)]


def nats(
    model: LanguageModel, documents: Sequence[Encoded], found: Sequence[Group], at_once: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Of some documents after the other the nats [N] of what is supervised, and the document of each.

    About ``at_once`` tokens are computed together. The cache of the model must rewind.
    """
    for part in _parts(documents, found, 4 * at_once):
        contexts = [(group.documents[0], 0, group.context) for group in part]
        rest = [(number, group.context, _last(documents[number])) for group in part for number in group.documents]
        longest = max(end - start for _, start, end in contexts + rest)
        room = min(model.context, max(start for _, start, _ in rest) + longest)
        cache = model.make_cache(len(contexts) + len(rest), room)
        deque(_read(model, documents, contexts, cache, 0, at_once), maxlen=0)
        row = len(contexts)
        for source, group in enumerate(part):
            for _ in group.documents:
                cache.copy(source, row, group.context)
                row += 1
        for rows, hidden_BTD in _read(model, documents, rest, cache, len(contexts), at_once):
            yield _scored(model, documents, [rest[each] for each in rows], hidden_BTD)


_Span = tuple[int, int, int]
"""A document, and the tokens that are read of it: from the one, to the one before the other."""


def _read(
    model: LanguageModel, documents: Sequence[Encoded], spans: Sequence[_Span], cache: Cache, first: int, at_once: int
) -> Iterator[tuple[list[int], Tensor]]:
    """Spans through the model, each into a row of the cache from ``first`` on: their numbers, and hidden states."""
    device = next(model.parameters()).device
    for numbers in _batches(spans, at_once, cache.length):
        width = max(spans[number][2] - spans[number][1] for number in numbers)
        tokens = np.zeros((len(numbers), width), np.int64)  # what is padded comes last, and nobody looks at it
        for row, number in enumerate(numbers):
            document, start, end = spans[number]
            tokens[row, : end - start] = documents[document].ids[start:end]
        rows_B = torch.tensor([first + number for number in numbers], device=device)
        starts_B = torch.tensor([spans[number][1] for number in numbers], device=device)
        yield numbers, model.step(torch.from_numpy(tokens).to(device), cache, rows_B, starts_B)


def _scored(
    model: LanguageModel, documents: Sequence[Encoded], spans: Sequence[_Span], hidden_BTD: Tensor
) -> tuple[Tensor, Tensor]:
    targets, owners = np.zeros(hidden_BTD.shape[:2], np.int64), np.zeros(hidden_BTD.shape[:2], np.int64)
    counted = np.zeros(hidden_BTD.shape[:2], np.bool_)
    for row, (document, start, end) in enumerate(spans):
        here, predicted = slice(0, end - start), slice(start + 1, end + 1)
        targets[row, here] = documents[document].ids[predicted]
        counted[row, here] = documents[document].supervised[predicted]
        owners[row] = document
    counted_BT = torch.from_numpy(counted)
    targets_N, owners_N = (torch.from_numpy(of)[counted_BT] for of in (targets, owners))
    return scoring.nats(model, hidden_BTD[counted_BT.to(hidden_BTD.device)], targets_N), owners_N


def _parts(documents: Sequence[Encoded], found: Sequence[Group], most: int) -> Iterator[list[Group]]:
    """Groups together, of about ``most`` tokens, which a cache holds at once."""
    part: list[Group] = []
    tokens = 0
    for group in found:
        part.append(group)
        tokens += group.context + sum(_last(documents[number]) - group.context for number in group.documents)
        if tokens >= most:
            yield part
            part, tokens = [], 0
    if part:
        yield part


def _batches(spans: Sequence[_Span], at_once: int, room: int) -> Iterator[list[int]]:
    """Numbers of spans from the longest to the shortest, as many together as make ``at_once`` tokens with padding.

    No padding goes beyond ``room`` positions.
    """
    batch: list[int] = []
    width = 0
    for number in sorted(range(len(spans)), key=lambda each: spans[each][1] - spans[each][2]):
        _, start, end = spans[number]
        is_full = (len(batch) + 1) * width > at_once or start + width > room
        is_padding = len(batch) * width >= _ENOUGH and end - start < _LEAST_FILLED * width
        if batch and (is_full or is_padding):
            yield batch
            batch = []
        width = width if batch else end - start
        batch.append(number)
    if batch:
        yield batch


def _is_worth_it(group: Group, documents: Sequence[Encoded]) -> bool:
    tokens = sum(_last(documents[number]) for number in group.documents)
    return (len(group.documents) - 1) * group.context >= _LEAST_SHARE * tokens


def _context(document: Encoded) -> int:
    """How many tokens may be shared: those before the one that predicts the first that is supervised."""
    return max(0, int(document.supervised[1:].argmax())) if document.supervised[1:].any() else 0


def _last(document: Encoded) -> int:
    """The last token that is supervised: those before it are read."""
    return int(np.flatnonzero(document.supervised)[-1])


def _common(one: NDArray[np.int32], other: NDArray[np.int32]) -> int:
    """How many tokens two texts of one length have in common at their beginning."""
    differs = one != other
    return int(differs.argmax()) if differs.any() else len(one)
