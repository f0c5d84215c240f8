"""How probable a model finds held-out conversations: nats, tokens and bytes for each of them.

Only what training supervises is counted: the assistant's turns with their end of turn, or all of a plain text. A token
always sees at least half a window of what went before it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from engine.data.encoded import Encoded
from engine.data.samples import Conversation
from engine.models.base import LanguageModel
from engine.tokenizers.base import Tokenizer
from engine.tokenizers.encode import encode_conversations

Floats = NDArray[np.float64]
_SCORES_AT_ONCE = 1 << 23
"""Entries of the largest logits tensor, 32 MiB in fp32."""


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
) -> Likelihood:
    """The likelihood of every document under ``model``.

    ``advance`` is told after each batch how many windows are done, and of how many.

    Windows of ``length`` tokens are batched by size, so that little is padded. The model must be in evaluation mode.
    """
    device = next(model.parameters()).device
    length = min(length, model.context)
    windows = [w for number, document in enumerate(documents) for w in _windows(number, document.encoded, length)]
    windows.sort(key=lambda w: w.start - w.end)  # stable, so the order depends on the documents alone
    nats_C = torch.zeros(len(documents), dtype=torch.float64)
    with torch.inference_mode():
        for first in range(0, len(windows), batch_size):
            batch = windows[first : first + batch_size]
            nats_N, owners_N = _score(model, documents, batch, device)
            nats_C.index_add_(0, owners_N, nats_N)
            advance(min(first + batch_size, len(windows)), len(windows))
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
    last = len(encoded.ids) - 1  # nothing is predicted from the last token
    start, scored = 0, 1
    while scored <= last:
        end = min(start + length, last)
        if encoded.supervised[scored : end + 1].any():
            yield _Window(document, start, end, scored)
        start, scored = start + stride, end + 1


def _score(
    model: LanguageModel, documents: Sequence[Document], batch: Sequence[_Window], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Nats of the N tokens that this batch scores, in float64 on the CPU, and the document each belongs to."""
    width = max(window.end - window.start for window in batch)
    tokens_BT = torch.zeros(len(batch), width, dtype=torch.long)
    targets_BT = torch.zeros(len(batch), width, dtype=torch.long)
    counted_BT = torch.zeros(len(batch), width, dtype=torch.bool)
    for row, window in enumerate(batch):
        encoded, used = documents[window.document].encoded, window.end - window.start
        tokens_BT[row, :used] = torch.tensor(encoded.ids[window.start : window.end])
        targets_BT[row, :used] = torch.tensor(encoded.ids[window.start + 1 : window.end + 1])
        counted_BT[row, :used] = torch.tensor(encoded.supervised[window.start + 1 : window.end + 1])
        counted_BT[row, : window.scored - window.start - 1] = False
    positions_BT = torch.arange(width).expand(len(batch), width)
    one_document_BT = torch.zeros_like(tokens_BT)  # padding comes after the text, so causality alone hides it
    hidden_BTD = model.hidden(tokens_BT.to(device), positions_BT.to(device), one_document_BT.to(device))
    hidden_ND, targets_N = hidden_BTD[counted_BT.to(device)], targets_BT[counted_BT].to(device)
    rows = max(1, _SCORES_AT_ONCE // model.vocabulary)
    parts = [
        F.cross_entropy(model.logits(hidden_nD).float(), targets_n, reduction="none")
        for hidden_nD, targets_n in zip(torch.split(hidden_ND, rows), torch.split(targets_N, rows), strict=True)
    ]
    owners_B = torch.tensor([window.document for window in batch])
    return torch.cat(parts).double().cpu(), owners_B[:, None].expand(-1, width)[counted_BT]


def _token_counts(documents: Sequence[Document]) -> Floats:
    return np.array([document.encoded.supervised.sum() for document in documents], dtype=np.float64)


def _sizes(documents: Sequence[Document]) -> Floats:
    return np.array([document.size for document in documents], dtype=np.float64)
