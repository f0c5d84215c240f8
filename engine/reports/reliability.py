"""Whether a model is as sure as it should be: of its likeliest tokens, how many are right, by its probability for them.

Of tokens of one bin of probability, a calibrated model is right about as often as it says (Guo et al., 2017).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from engine.data.samples import Conversation
from engine.tokenizers.encode import encode_conversations
from engine.version import LoadedVersion

BINS = 10
_MOST = 40
"""Conversations; there are many tokens in each."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Tokens predicted with a probability in this bin: how many, its mean, and the share of those that were right."""

    tokens: int
    confidence: float
    right: float


def bins(
    version: LoadedVersion, conversations: Sequence[Conversation], advance: Callable[[int, int], None]
) -> list[ReliabilityBin]:
    """The bins that have tokens, by probability."""
    model = version.model
    device = next(model.parameters()).device
    counts_N, confidence_N, right_N = (torch.zeros(BINS, dtype=torch.float64) for _ in range(3))
    chosen = conversations[:_MOST]
    encoded = encode_conversations(version.tokenizer, [(conversation, 0) for conversation in chosen])
    with torch.inference_mode():
        for number, document in enumerate(encoded):
            advance(number, len(chosen))
            ids, supervised = document.ids[: model.context + 1], document.supervised[: model.context + 1]
            if len(ids) < 2 or not supervised[1:].any():
                continue
            tokens_BT = torch.tensor(ids[:-1].astype("int64"), device=device)[None]
            positions_BT = torch.arange(tokens_BT.shape[1], device=device)[None]
            hidden_TD = model.hidden(tokens_BT, positions_BT, torch.zeros_like(tokens_BT))[0]
            learned_T = torch.from_numpy(supervised[1:].copy()).to(device)
            scores_CV = model.logits(hidden_TD[learned_T]).float().softmax(-1)
            probability_C, best_C = (found.cpu() for found in scores_CV.max(-1))
            targets_C = torch.from_numpy(ids[1:].astype("int64"))[learned_T.cpu()]
            place_C = (probability_C * BINS).long().clamp(max=BINS - 1)
            counts_N.index_add_(0, place_C, torch.ones(len(place_C), dtype=torch.float64))
            confidence_N.index_add_(0, place_C, probability_C.double())
            right_N.index_add_(0, place_C, (best_C == targets_C).double())
    return [
        ReliabilityBin(int(count), float(confidence / count), float(right / count))
        for count, confidence, right in zip(counts_N, confidence_N, right_N, strict=True)
        if count
    ]
