"""Choosing tokens: any mix of settings in one batch, each row by itself, so that no row's choice depends on another.

Shapes: B rows, V vocabulary, K candidates, N blocks of W probabilities.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.inference.requests import Sampling, Scored
from engine.inference.runner import Choice

WIDTH = 64
"""Candidates looked at before the whole vocabulary is sorted. Fixed, so that a row never depends on its neighbours."""
BLOCK = 64
"""Running sums are taken over blocks of probabilities first, then inside one block."""

BARRED = -1e30
"""The score of what must not be chosen: finite, so that something is chosen even where everything is barred."""


def choose(logits_BV: Tensor, choices: Sequence[Choice]) -> list[int]:
    """The next token of each row; ``logits_BV`` is float32 and stays as it is."""
    scores_BV = _adjust(logits_BV, choices)
    tokens = scores_BV.argmax(-1)
    drawn = [row for row, choice in enumerate(choices) if not choice.sampling.greedy]
    if drawn:
        tokens[drawn] = _draw(scores_BV[drawn], [choices[row] for row in drawn])
    return [int(token) for token in tokens.tolist()]


def score(logits_NV: Tensor, tokens: Sequence[int], top_logprobs: int) -> list[Scored]:
    """Log-probabilities of ``tokens`` under the model itself, each with the likeliest ``top_logprobs``."""
    if not tokens:
        return []
    logprobs_NV = torch.log_softmax(logits_NV.float(), dim=-1)
    chosen = logprobs_NV.gather(-1, torch.tensor(tokens, device=logits_NV.device)[:, None])[:, 0].tolist()
    if not top_logprobs:
        return [Scored(token, logprob) for token, logprob in zip(tokens, chosen, strict=True)]
    top = logprobs_NV.topk(min(top_logprobs, logprobs_NV.shape[-1]), dim=-1)
    return [
        Scored(token, logprob, tuple(zip(ids, values, strict=True)))
        for token, logprob, ids, values in zip(tokens, chosen, top.indices.tolist(), top.values.tolist(), strict=True)
    ]


def score_each(logits_V: Tensor, tokens: Sequence[int]) -> list[Scored]:
    """Log-probabilities of several tokens in the same place."""
    logits_V = logits_V.float()
    ids = torch.tensor(tokens, device=logits_V.device)
    logprobs = (logits_V[ids] - torch.logsumexp(logits_V, dim=-1)).tolist()
    return [Scored(token, logprob) for token, logprob in zip(tokens, logprobs, strict=True)]


def _adjust(logits_BV: Tensor, choices: Sequence[Choice]) -> Tensor:
    """Penalties for what was generated already, biases (as OpenAI documents them), and last what must not be chosen."""
    if not any(choice.sampling.adjusts or choice.barred or choice.allowed is not None for choice in choices):
        return logits_BV
    scores_BV = logits_BV.clone()
    for row, choice in enumerate(choices):
        sampling, penalised = choice.sampling, choice.counts
        if sampling.repetition_penalty != 1.0:
            seen = list({*choice.prompt, *penalised})
            seen_K = scores_BV[row, seen]
            factor = sampling.repetition_penalty
            scores_BV[row, seen] = torch.where(seen_K > 0, seen_K / factor, seen_K * factor)
        if penalised and (sampling.presence_penalty or sampling.frequency_penalty):
            counts = torch.tensor(list(penalised.values()), dtype=torch.float32, device=scores_BV.device)
            scores_BV[row, list(penalised)] -= sampling.presence_penalty + sampling.frequency_penalty * counts
        if sampling.logit_bias:
            biases = torch.tensor(list(sampling.logit_bias.values()), dtype=torch.float32, device=scores_BV.device)
            scores_BV[row, list(sampling.logit_bias)] += biases
        if choice.barred:
            scores_BV[row, list(choice.barred)] = BARRED
        if choice.allowed is not None:
            # A score vanishes in a sum with BARRED. NumPy stays in this thread; those of torch would meet for each row.
            summand_V = np.multiply(~choice.allowed, np.float32(BARRED), dtype=np.float32)
            if scores_BV.device.type == "cpu":
                scores_BV[row].numpy()[:] += summand_V
            else:
                scores_BV[row] += torch.from_numpy(summand_V).to(scores_BV.device)
    return scores_BV


def _draw(scores_BV: Tensor, choices: Sequence[Choice]) -> Tensor:
    """One token a row: its distribution, inverted at the row's random number."""
    temperatures = torch.tensor([choice.sampling.temperature for choice in choices], device=scores_BV.device)
    draws = torch.tensor([choice.draw for choice in choices], dtype=torch.float64, device=scores_BV.device)
    probabilities_BV = torch.softmax(scores_BV / temperatures[:, None], dim=-1)
    tokens = torch.empty(len(choices), dtype=torch.long, device=scores_BV.device)
    whole = [row for row, choice in enumerate(choices) if not _truncates(choice.sampling)]
    if whole:
        tokens[whole] = _invert(probabilities_BV[whole], draws[whole])
    rest = [row for row, choice in enumerate(choices) if _truncates(choice.sampling)]
    for width in (WIDTH, scores_BV.shape[-1]):
        if not rest:
            break
        width = min(width, scores_BV.shape[-1])
        kept_BK, ids_BK, enough = _truncate(probabilities_BV[rest], [choices[row].sampling for row in rest], width)
        places = _invert(kept_BK, draws[rest])
        tokens[rest] = ids_BK.gather(-1, places[:, None])[:, 0]
        rest = [row for row, done in zip(rest, enough, strict=True) if not done]
    return tokens


def _truncates(sampling: Sampling) -> bool:
    return sampling.top_k > 0 or sampling.top_p < 1.0 or sampling.min_p > 0.0


def _truncate(probabilities_BV: Tensor, samplings: Sequence[Sampling], width: int) -> tuple[Tensor, Tensor, list[bool]]:
    """The ``width`` likeliest tokens with those that its settings leave out set to 0, and whether ``width`` was enough.

    top_k first, then top_p of what is left (the smallest set that reaches it), then min_p relative to the likeliest.
    """
    vocabulary = probabilities_BV.shape[-1]
    device = probabilities_BV.device
    kept_BK, ids_BK = _likeliest(probabilities_BV, width)
    top_k = torch.tensor([each.top_k or vocabulary for each in samplings], device=device).clamp(max=vocabulary)
    top_p = torch.tensor([each.top_p for each in samplings], device=device)
    min_p = torch.tensor([each.min_p for each in samplings], device=device)
    within_k = torch.arange(width, device=device) < top_k[:, None]
    kept_BK = kept_BK.masked_fill(~within_k, 0.0)
    # top_p is a share of what top_k leaves: of the candidates, where those are all of it, or of everything, which is 1.
    total = torch.where(top_k <= width, kept_BK.sum(-1), torch.ones_like(top_p))
    total_is_known = (top_k <= width) | (top_k == vocabulary) | (top_p >= 1.0)
    before_BK = kept_BK.cumsum(-1) - kept_BK
    inside_p = (before_BK < (top_p * total)[:, None]) | (top_p >= 1.0)[:, None]
    inside_m = kept_BK >= (min_p[:, None] * kept_BK[:, :1])
    last_is_in = within_k[:, -1] & inside_p[:, -1] & inside_m[:, -1]
    enough = total_is_known & (~last_is_in | (top_k <= width))
    return kept_BK.masked_fill(~(inside_p & inside_m), 0.0), ids_BK, enough.tolist()


def _likeliest(probabilities_BV: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The ``width`` largest probabilities of each row, in order, and whose they are."""
    vocabulary = probabilities_BV.shape[-1]
    if width < vocabulary or probabilities_BV.device.type != "cpu":
        kept_BK, ids_BK = probabilities_BV.topk(width, dim=-1)
        return kept_BK, ids_BK
    # What is not negative has its bits in its order. With the token below them whole numbers are sorted, by NumPy: a
    # tenth of the time that torch takes for numbers and their places.
    backwards_V = torch.arange(vocabulary - 1, -1, -1)
    keys_BV = probabilities_BV.view(torch.int32).long() << 32 | backwards_V
    sorted_BV = torch.from_numpy(np.sort(keys_BV.numpy(), axis=-1)).flip(-1)
    return (sorted_BV >> 32).int().view(torch.float32), vocabulary - 1 - (sorted_BV & 0xFFFFFFFF)


def _invert(weights_BK: Tensor, draws: Tensor) -> Tensor:
    """The first place where the running sum exceeds the drawn share of the total; weights of 0 are never chosen."""
    blocks_BNW = F.pad(weights_BK, (0, -weights_BK.shape[-1] % BLOCK)).reshape(len(draws), -1, BLOCK)
    sums_BN = blocks_BNW.sum(-1).double()
    targets = draws * sums_BN.sum(-1)
    block = _first_beyond(sums_BN, targets)
    before = (sums_BN.cumsum(-1) - sums_BN).gather(-1, block[:, None])[:, 0]
    weights_BW = blocks_BNW[torch.arange(len(block), device=block.device), block]
    return block * BLOCK + _first_beyond(weights_BW.double(), targets - before)


def _first_beyond(weights_BK: Tensor, targets: Tensor) -> Tensor:
    """Where the running sum first exceeds the target; rounding never leads beyond the last weight above 0."""
    found = torch.searchsorted(weights_BK.cumsum(-1), targets[:, None], right=True)[:, 0]
    return torch.minimum(found, (weights_BK > 0).cumsum(-1).argmax(-1))
