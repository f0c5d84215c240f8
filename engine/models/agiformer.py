"""The ``agiformer`` family: it reads bytes, thinks in patches of four of them, and writes bytes again.

    bytes ─ 4 each ─▶ patches ─▶ decoder layers ─▶ thinking: one block, again and again ─▶ contexts
    context of the patches so far + bytes of the patch begun ─▶ the next byte

The layers are thor's, over patches, with a window of ``window`` patches (128 by default: 512 bytes a layer, so 3 KB
over six). Thinking is one more such layer whose weights all rounds share; a learned gate says for each channel how much
of a round's change is kept. The byte decoder sees the context of the last complete patch and, added up, the embeddings
of the bytes that follow it, each by its place: so the next byte depends on all bytes before it, and on no other.

Shapes beside those of `engine.models.base`: P patches in a row, G groups in a row. A *group* is what the decoder works
on: a context and the three bytes that may follow it before the next context is there. The state that predicts byte
``t + 1`` of a document is at place ``(t + 1) % 4`` of group ``(t + 1) // 4``. Patches and groups begin with their
document, so a packed row computes for each document what it would alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.config import AgiformerShape, ThorShape
from engine.models.attention import Attend, KeyValueCache, packed
from engine.models.base import Cache
from engine.models.rotary import frequencies, rotation
from engine.models.thor import INIT_DEVIATION, FeedForward, Layer, Linear, RMSNorm

PATCH = 4
"""Bytes in a patch."""
DECODER_LAYERS = 2


@dataclass
class PatchCache:
    """The bytes of every row, the contexts after the start and after each patch, and what attention remembers of them.

    What belongs to a patch that is not complete is computed too, and overwritten when it is; nothing reads it before.
    Implements `engine.models.base.Cache`.
    """

    rows: int
    length: int
    tokens: Tensor
    contexts: Tensor
    attention: KeyValueCache
    rewinds = True

    def copy(self, source: int, target: int, length: int) -> None:
        """Let row ``target`` begin with the first ``length`` positions of row ``source``."""
        patches = length // PATCH
        self.tokens[target, :length] = self.tokens[source, :length]
        self.contexts[target, : patches + 1] = self.contexts[source, : patches + 1]
        self.attention.copy(source, target, patches)


class Agiformer(nn.Module):
    """A language model of the family. Implements `engine.models.base.LanguageModel`."""

    def __init__(self, shape: AgiformerShape, vocabulary: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.vocabulary = vocabulary
        self.context = shape.context
        self.dropout = dropout
        block = ThorShape(
            hidden=shape.hidden,
            layers=shape.layers,
            heads=shape.heads,
            kv_heads=shape.heads,
            feed_forward=shape.feed_forward,
            norm_epsilon=shape.norm_epsilon,
        )
        self.frequencies_E = frequencies(block.width, shape.rope_theta)
        self.encoder = PlacedBytes(PATCH, vocabulary, shape.hidden)
        self.layers = nn.ModuleList([Layer(block, dropout) for _ in range(shape.layers)])
        self.thinking = Thinking(block, dropout) if shape.thinking_steps else None
        self.norm = RMSNorm(shape.hidden, shape.norm_epsilon)
        self.start = nn.Parameter(torch.empty(1, shape.hidden))
        self.decoder = ByteDecoder(block, vocabulary, dropout)
        self.head = Linear(shape.hidden, vocabulary)

    def hidden(self, tokens_BT: Tensor, positions_BT: Tensor, documents_BT: Tensor) -> Tensor:
        """Hidden states of packed rows, [B, T, D]."""
        [hidden_BTD] = self._hidden(tokens_BT, positions_BT, documents_BT, slice(-1, None))
        return hidden_BTD

    def hidden_by_round(self, tokens_BT: Tensor, positions_BT: Tensor, documents_BT: Tensor) -> list[Tensor]:
        """What `hidden` would be had thinking stopped after 0, 1, ... rounds; the last is `hidden` itself."""
        return self._hidden(tokens_BT, positions_BT, documents_BT, slice(None))

    def step(self, tokens_BT: Tensor, cache: Cache, rows_B: Tensor, starts_B: Tensor) -> Tensor:
        """Hidden states [B, T, D] of the next T tokens of B cache rows.

        As many patches and groups are computed as T tokens can touch wherever a row begins, so that shapes, and with
        them the numbers of a row, do not depend on its neighbours.

        Raises:
            TypeError: the cache is another family's.
            ValueError: a row would grow beyond the length of the cache.
        """
        if not isinstance(cache, PatchCache):
            raise TypeError(f"agiformer needs bytes and patches, not a {type(cache).__name__}")
        length, device = tokens_BT.shape[1], tokens_BT.device
        positions_BT = starts_B[:, None] + torch.arange(length, device=device)
        if int(positions_BT.max()) >= cache.length:
            raise ValueError(f"{int(positions_BT.max()) + 1} positions do not fit into a cache of {cache.length}")
        rows_B1 = rows_B[:, None]
        bytes_BP4 = cache.tokens.view(len(cache.tokens), -1, PATCH)
        cache.tokens[rows_B1, positions_BT] = tokens_BT

        patches_BP = (starts_B // PATCH)[:, None] + torch.arange(math.ceil(length / PATCH), device=device)
        if bool(((starts_B + length) // PATCH > starts_B // PATCH).any()):  # somebody's patch is complete
            attends = cache.attention.attends(rows_B, patches_BP, self.shape.window)
            contexts_BPD = self._contexts(bytes_BP4[rows_B1, patches_BP], patches_BP, attends)[-1]
            cache.contexts[rows_B1, patches_BP + 1] = self.norm(contexts_BPD)

        first_B1 = (starts_B[:, None] + 1) // PATCH
        groups_BG = first_B1 + torch.arange((length + PATCH + 2) // PATCH, device=device)
        decoded_BG4D = self.decoder(cache.contexts[rows_B1, groups_BG], bytes_BP4[rows_B1, groups_BG][..., :-1])
        return _pick(decoded_BG4D.flatten(1, 2), positions_BT + 1 - first_B1 * PATCH)

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Scores [N, V] over the vocabulary."""
        scores_NV: Tensor = self.head(hidden_ND)
        return scores_NV

    def make_cache(self, rows: int, length: int) -> PatchCache:
        """A cache on the model's device and in its dtype.

        Raises:
            ValueError: ``length`` is beyond the context the model was made for.
        """
        if length > self.context:
            raise ValueError(f"a cache of {length} positions is beyond the model's context of {self.context}")
        shape, patches, layers = self.shape, math.ceil(length / PATCH), self.shape.layers + self.shape.thinking_steps
        contexts = self.start.detach().repeat(rows, patches + 1, 1)
        attention = KeyValueCache.like(self.start, layers, rows, shape.heads, patches, shape.hidden // shape.heads)
        tokens = torch.zeros(rows, (patches + 1) * PATCH, dtype=torch.long, device=self.start.device)
        return PatchCache(rows, length, tokens, contexts, attention)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight: normal, the projections back into a residual stream scaled down by depth (GPT-2)."""
        shrink = 1 / math.sqrt(2 * (self.shape.layers + self.shape.thinking_steps))
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
            else:
                into_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                weight.normal_(0.0, INIT_DEVIATION * (shrink if into_residual else 1.0), generator=generator)

    def _hidden(
        self, tokens_BT: Tensor, positions_BT: Tensor, documents_BT: Tensor, rounds: "slice[int | None]"
    ) -> list[Tensor]:
        """Hidden states after the chosen ``rounds`` of thinking: writing costs more than thinking, so only of those."""
        rows = len(tokens_BT)
        places_BT = positions_BT % PATCH
        patches_BT = (places_BT == 0).cumsum(1) - 1
        count = int(patches_BT[:, -1].max()) + 1
        bytes_BP4 = _spread(tokens_BT, patches_BT, places_BT, count)
        numbers_BP = positions_BT.new_zeros(rows, count).scatter(1, patches_BT, positions_BT // PATCH)
        documents_BP = documents_BT.new_full((rows, count), -1).scatter(1, patches_BT, documents_BT)
        attend = packed(documents_BP, self.shape.window)
        attends = [attend] * (self.shape.layers + self.shape.thinking_steps)

        into_BT = (positions_BT + 1) % PATCH  # the place in its group of the state that each token leads to
        groups_BT = ((positions_BT == 0) | (into_BT == 0)).cumsum(1) - 1
        of_groups = int(groups_BT[:, -1].max()) + 1
        followers_BG3 = _spread(tokens_BT, groups_BT, into_BT, of_groups)[..., 1:]
        # a group goes on from the patch that its first token completes; the first one of a document from the start
        before_BT = torch.where(into_BT == 0, patches_BT + 1, 0)
        before_BG = before_BT.new_zeros(rows, of_groups).scatter_reduce(1, groups_BT, before_BT, "amax")
        hidden = []
        for contexts_BPD in self._contexts(bytes_BP4, numbers_BP, attends)[rounds]:
            from_start_BPD = torch.cat((self.start.expand(rows, 1, -1), self.norm(contexts_BPD)), dim=1)
            decoded_BG4D = self.decoder(_pick(from_start_BPD, before_BG), followers_BG3)
            hidden.append(_pick(decoded_BG4D.flatten(1, 2), groups_BT * PATCH + into_BT))
        return hidden

    def _contexts(self, bytes_BP4: Tensor, numbers_BP: Tensor, attends: Sequence[Attend]) -> list[Tensor]:
        """What is known after each patch, [B, P, D], after 0, 1, ... rounds of thinking, to be normalised."""
        x_BPD = F.dropout(self.encoder(bytes_BP4).sum(2), self.dropout, self.training)
        turn = rotation(numbers_BP, self.frequencies_E)
        for layer, attend in zip(self.layers, attends[: self.shape.layers], strict=True):
            x_BPD = layer(x_BPD, turn, attend)
        rounds = [x_BPD]
        if self.thinking is not None:
            for attend in attends[self.shape.layers :]:
                rounds.append(self.thinking(rounds[-1], turn, attend))
        return rounds


class Thinking(nn.Module):
    """One refinement block, whose change a gate lets through channel by channel."""

    def __init__(self, block: ThorShape, dropout: float) -> None:
        super().__init__()
        self.layer = Layer(block, dropout)
        self.gate = Linear(block.hidden, block.hidden, bias=True)

    def forward(self, x_BPD: Tensor, turn: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        """One round further."""
        refined_BPD = self.layer(x_BPD, turn, attend)
        gated_BPD: Tensor = x_BPD + torch.sigmoid(self.gate(refined_BPD)) * (refined_BPD - x_BPD)
        return gated_BPD


class ByteDecoder(nn.Module):
    """From a context and the bytes since to the state that predicts the next byte, each place for itself."""

    def __init__(self, block: ThorShape, vocabulary: int, dropout: float) -> None:
        super().__init__()
        self.followers = PlacedBytes(PATCH - 1, vocabulary, block.hidden)
        self.norms = nn.ModuleList([RMSNorm(block.hidden, block.norm_epsilon) for _ in range(DECODER_LAYERS)])
        self.layers = nn.ModuleList([FeedForward(block) for _ in range(DECODER_LAYERS)])
        self.norm = RMSNorm(block.hidden, block.norm_epsilon)
        self.dropout = dropout

    def forward(self, contexts_BGD: Tensor, followers_BG3: Tensor) -> Tensor:
        """[B, G, 4, D]: place p has seen the context and p followers."""
        x_BG4D = torch.cat((contexts_BGD[:, :, None], self.followers(followers_BG3)), dim=2).cumsum(2)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x_BG4D = x_BG4D + F.dropout(layer(norm(x_BG4D)), self.dropout, self.training)
        normed_BG4D: Tensor = self.norm(x_BG4D)
        return normed_BG4D


class PlacedBytes(nn.Module):
    """An embedding of bytes that differs from place to place."""

    def __init__(self, places: int, vocabulary: int, width: int) -> None:
        super().__init__()
        self.tables = nn.Parameter(torch.empty(places, vocabulary, width))

    def forward(self, bytes_BPK: Tensor) -> Tensor:
        """Bytes at K places, [B, P, K], to [B, P, K, D]."""
        places, vocabulary, _ = self.tables.shape
        offsets = torch.arange(places, device=bytes_BPK.device) * vocabulary
        return F.embedding(bytes_BPK + offsets, self.tables.flatten(0, 1))


def _spread(tokens_BT: Tensor, numbers_BT: Tensor, places_BT: Tensor, count: int) -> Tensor:
    """Tokens put where they belong, [B, count, 4]; 0 where none does."""
    rows = len(tokens_BT)
    flat = tokens_BT.new_zeros(rows, count * PATCH)
    return flat.scatter(1, numbers_BT * PATCH + places_BT, tokens_BT).view(rows, count, PATCH)


def _pick(states_BND: Tensor, index_BM: Tensor) -> Tensor:
    """For each row the states with these numbers, [B, M, D]."""
    return states_BND.gather(1, index_BM[:, :, None].expand(-1, -1, states_BND.shape[-1]))
