"""How probable a model finds held-out conversations: nats, tokens and bytes for each of them.

Only what training supervises is counted: the assistant's turns with their end of turn, or all of a plain text. A token
always sees at least half a window of what went before it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.encoded import Encoded
from engine.data.packing import evenly
from engine.data.samples import Conversation
from engine.evaluation import scoring, shared_contexts
from engine.models.base import LanguageModel
from engine.tokenizers.base import Tokenizer
from engine.tokenizers.encode import encode_conversations

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Document:
    """A conversation as one tokenizer cuts it; ``size`` is the UTF-8 bytes of what is supervised, for any tokenizer."""

    encoded: Encoded
    size: int


@dataclass(frozen=True)
class Likelihood:
    """Sums over the supervised tokens of each of C conversations."""

    nats_C: Floats
    tokens_C: Floats
    bytes_C: Floats

    def part(self, chosen_C: NDArray[np.bool_]) -> "Likelihood":
        """The sums of the chosen conversations, in the same order."""
        return Likelihood(self.nats_C[chosen_C], self.tokens_C[chosen_C], self.bytes_C[chosen_C])

    @property
    def counts(self) -> dict[str, float]:
        """How much was measured, by name."""
        return {
            "conversations": float(len(self.nats_C)),
            "scored_tokens": float(self.tokens_C.sum()),
            "bytes": float(self.bytes_C.sum()),
        }


class Kept(Protocol):
    """What is known already of the documents, and takes note of what is found."""

    @property
    def rows(self) -> int:
        """How many rows of windows are done; all that documents share counts as one more, before them."""
        ...

    @property
    def nats(self) -> Sequence[float]:
        """Of each document, in those rows."""
        ...

    def reached(self, rows: int, nats_C: Floats, *, complete: bool) -> None:
        """So many rows are done."""
        ...


def encode_documents(tokenizer: Tokenizer, conversations: Sequence[Conversation]) -> list[Document]:
    """Tokens and sizes of conversations."""
    encoded = encode_conversations(tokenizer, [(conversation, 0) for conversation in conversations])
    return [
        Document(tokens, conversation.supervised_bytes if len(tokens.ids) else 0)
        for tokens, conversation in zip(encoded, conversations, strict=True)
    ]


def measure(
    model: LanguageModel,
    documents: Sequence[Document],
    *,
    length: int,
    batch_size: int,
    advance: Callable[[int, int], None] = lambda done, total: None,
    kept: Kept | None = None,
) -> Likelihood:
    """The likelihood of every document under ``model``.

    ``advance`` is told after each batch how many windows are done, and of how many. What ``kept`` knows is not measured
    again; the numbers are those that one measurement without a break gives.

    What documents share before anything is scored is read once, where that saves enough and the model can go back to
    it. Of the others windows of at most ``length`` tokens are packed into rows of as many or fewer, ``batch_size`` at
    a time. The model must be in evaluation mode.
    """
    device = next(model.parameters()).device
    length = min(length, model.context)
    encoded = [document.encoded for document in documents]
    groups = shared_contexts.groups(encoded, length)
    if groups and not model.make_cache(1, 1).rewinds:
        groups = []
    shared = {number for group in groups for number in group.documents}
    windows = [w for at, each in enumerate(encoded) if at not in shared for w in _windows(at, each, length)]
    rows = [[windows[n] for n in row] for row in evenly([w.end - w.start for w in windows], length)]
    nats_C = torch.zeros(len(documents), dtype=torch.float64)
    begin = 0
    if kept is not None and kept.rows:
        begin, nats_C = kept.rows, torch.tensor(kept.nats, dtype=torch.float64)
    before = 1 if groups else 0
    count = before + len(rows)
    done, total = sum(map(len, rows[: max(0, begin - before)])), len(windows) + len(shared)
    if begin and before:
        done += len(shared)

    def reached(row: int) -> None:
        if kept is not None:
            kept.reached(row, nats_C.numpy(), complete=row == count)
        advance(done, total)

    with torch.inference_mode():
        if groups and not begin:
            for nats_N, owners_N in shared_contexts.nats(model, encoded, groups, batch_size * length):
                nats_C.index_add_(0, owners_N, nats_N)
            done += len(shared)
            reached(before)
        for first in range(max(0, begin - before), len(rows), batch_size):
            batch = rows[first : first + batch_size]
            nats_N, owners_N = _score(model, documents, batch, device)
            nats_C.index_add_(0, owners_N, nats_N)
            done += sum(map(len, batch))
            reached(before + first + len(batch))
    return Likelihood(nats_C.numpy(), _token_counts(documents), _sizes(documents))


@dataclass(frozen=True)
class _Window:
    """Reads ``ids[start:end]``, so predicts ``ids[start + 1:end + 1]``; those from ``scored`` on count."""

    document: int
    start: int
    end: int
    scored: int


def _windows(document: int, encoded: Encoded, length: int) -> Iterator[_Window]:
    """Windows that overlap by half and score each supervised token once; those that would score none are left out."""
    stride = max(1, length // 2)
    last = int(np.flatnonzero(encoded.supervised)[-1]) if encoded.supervised.any() else 0  # what follows is not read
    start, scored = 0, 1
    while scored <= last:
        end = min(start + length, last)
        if encoded.supervised[scored : end + 1].any():
            yield _Window(document, start, end, scored)
        start, scored = start + stride, end + 1


def _score(
    model: LanguageModel, documents: Sequence[Document], batch: Sequence[Sequence[_Window]], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Nats of the N tokens that these rows of windows score, in float64 on the CPU, and the document of each."""
    width = max(sum(window.end - window.start for window in row) for row in batch)
    tokens, positions, windows, targets, owners = (np.zeros((len(batch), width), np.int64) for _ in range(5))
    counted = np.zeros((len(batch), width), np.bool_)
    for row, held in enumerate(batch):
        at = 0
        for number, window in enumerate(held):
            encoded, used = documents[window.document].encoded, window.end - window.start
            here = slice(at, at + used)
            tokens[row, here] = encoded.ids[window.start : window.end]
            targets[row, here] = encoded.ids[window.start + 1 : window.end + 1]
            counted[row, here] = encoded.supervised[window.start + 1 : window.end + 1]
            counted[row, at : at + window.scored - window.start - 1] = False
            positions[row, at:] = np.arange(width - at)  # what is padded comes last, so causality alone hides it
            windows[row, at:] = number
            owners[row, here] = window.document
            at += used
    tokens_BT, positions_BT, windows_BT = (torch.from_numpy(of).to(device) for of in (tokens, positions, windows))
    counted_BT = torch.from_numpy(counted)
    targets_N, owners_N = (torch.from_numpy(of)[counted_BT] for of in (targets, owners))
    hidden_ND = model.hidden(tokens_BT, positions_BT, windows_BT)[counted_BT.to(device)]
    return scoring.nats(model, hidden_ND, targets_N), owners_N


def _token_counts(documents: Sequence[Document]) -> Floats:
    return np.array([document.encoded.supervised.sum() for document in documents], dtype=np.float64)


def _sizes(documents: Sequence[Document]) -> Floats:
    return np.array([document.size for document in documents], dtype=np.float64)
