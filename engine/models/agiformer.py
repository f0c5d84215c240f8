"""The ``agiformer`` family: it reads bytes, thinks in patches of four of them, and writes bytes again.

    bytes ─ 4 each ─▶ patches ─▶ decoder layers ─▶ thinking: one block, again and again ─▶ contexts
    context of the patches so far + the last 4 bytes ─▶ the next byte

The layers are thor's, over patches, with a window of ``window`` patches (128 by default: 512 bytes a layer, so 3 KB
over six). Thinking is one more such layer whose weights all rounds share; a learned gate says for each channel how much
of a round's change is kept. The byte decoder sees the context of the last complete patch, how many bytes came after it,
and the last four bytes, whichever patch they are in: so the next byte depends on all bytes before it, and on no other.
Four bytes are read alike for a patch and for the decoder, which learns what often follows them at every place at once.

Shapes beside those of `engine.models.base`: P patches in a row; 4 bytes, of a patch or the last ones. Patches begin
with their document, so a packed row computes for each document what it would alone.

Source: Yu et al., MEGABYTE (2305.07185), whose decoder sees only the bytes of the patch begun.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.families.agiformer import AGIFORMER, PATCH, AgiformerShape
from engine.families.thor import ThorShape
from engine.models.attention import Attend, KeyValueCache, packed
from engine.models.base import Cache, check_context, check_room
from engine.models.feed_forward import ThorFeedForward
from engine.models.linear import Linear
from engine.models.norms import RMSNorm
from engine.models.pages import PAGE, Pool, most_pages
from engine.models.rotary import Turn, frequencies, rotation
from engine.models.thor import ThorLayer

DECODER_LAYERS = 2
INIT_DEVIATION = 0.02
"""Of what stands where no context is yet, and for the places in a patch."""


@dataclass
class PatchCache:
    """The bytes of every row, the context after each patch, and what attention remembers of them, in pages of patches.

    What belongs to a patch that is not complete is computed too, and overwritten when it is; nothing reads it before.
    Implements `engine.models.base.Cache`.

    Attributes:
        tokens: pages of [PAGE, 4].
        contexts: pages of [PAGE, D].
        attention: keys and values, in pages of the same table.
    """

    rows: int
    length: int
    tokens: Pool
    contexts: Pool
    attention: KeyValueCache
    rewinds = True

    @property
    def held_bytes(self) -> int:
        """Bytes of all that it remembers now."""
        return self.attention.held_bytes

    def row_bytes(self, row: int) -> int:
        """Bytes of what it remembers of one row."""
        return self.attention.row_bytes(row)

    def bytes_for(self, positions: int) -> int:
        """Bytes of a row of so many positions."""
        return self.attention.bytes_for(math.ceil(positions / PATCH))

    def memory_for(self, more: int) -> int:
        """Bytes that must be free so that rows can grow by ``more`` bytes."""
        return self.attention.memory_for(more)

    def copy(self, source: int, target: int, length: int) -> None:
        """Let row ``target`` begin with the first ``length`` positions of row ``source``; they share memory."""
        self.attention.copy(source, target, math.ceil(length / PATCH))

    def truncate(self, row: int, length: int) -> None:
        """Give the memory back of what a row holds beyond ``length`` positions."""
        self.attention.truncate(row, math.ceil(length / PATCH))

    def places(self, rows_B: Tensor, patches_BN: Tensor) -> tuple[Tensor, Tensor]:
        """Where in `tokens` and `contexts` patches are, as indices; of a row that has no such page, on nobody's."""
        return self.attention.table.table_RP[rows_B[:, None], patches_BN // PAGE], patches_BN % PAGE


class Agiformer(nn.Module):
    """A language model of the family. Implements `engine.models.base.LanguageModel`."""

    family = AGIFORMER

    def __init__(self, shape: AgiformerShape, vocabulary: int, dropout: float) -> None:
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
        self.frequencies = frequencies(block.width, shape.rope_theta)
        self.reader = FourBytes(vocabulary, shape.hidden)
        self.layers = nn.ModuleList([ThorLayer(block, dropout) for _ in range(shape.layers)])
        self.thinking = Thinking(block, dropout) if shape.thinking_steps else None
        self.norm = RMSNorm(shape.hidden, shape.norm_epsilon)
        self.start = nn.Parameter(torch.empty(1, shape.hidden))
        self.places = nn.Parameter(torch.empty(PATCH, shape.hidden))
        self.decoder = ByteDecoder(block, dropout)
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

        As many patches are computed as T tokens can complete wherever a row begins, so that shapes, and with them the
        numbers of a row, do not depend on its neighbours.

        Raises:
            TypeError: the cache is another family's.
            ValueError: a row would grow beyond the length of the cache.
        """
        if not isinstance(cache, PatchCache):
            raise TypeError(f"agiformer needs bytes and patches, not a {type(cache).__name__}")
        length, device = tokens_BT.shape[1], tokens_BT.device
        positions_BT = starts_B[:, None] + torch.arange(length, device=device)
        check_room(int(positions_BT.max()) + 1, cache)
        for row, start in zip(rows_B.tolist(), starts_B.tolist(), strict=True):
            cache.attention.make_room(row, start // PATCH, math.ceil((start + length) / PATCH))
        cache.tokens.memory[(*cache.places(rows_B, positions_BT // PATCH), positions_BT % PATCH)] = tokens_BT

        patches_BP = (starts_B // PATCH)[:, None] + torch.arange(math.ceil(length / PATCH), device=device)
        if bool(((starts_B + length) // PATCH > starts_B // PATCH).any()):  # somebody's patch is complete
            places = cache.places(rows_B, patches_BP)
            attends = cache.attention.attends(rows_B, patches_BP, self.shape.window)
            contexts_BPD = self._contexts(cache.tokens.memory[places], patches_BP, attends)[-1]
            cache.contexts.memory[places] = self.norm(contexts_BPD).detach()

        recent_BN = (positions_BT[..., None] + _back(device)).clamp(min=0).flatten(1)
        recent_BT4 = cache.tokens.memory[(*cache.places(rows_B, recent_BN // PATCH), recent_BN % PATCH)]
        known_BT = (positions_BT + 1) // PATCH - 1
        known_BTD = cache.contexts.memory[cache.places(rows_B, known_BT.clamp(min=0))]
        known_BTD = torch.where((known_BT < 0)[..., None], self.start, known_BTD)
        return self._write(known_BTD, recent_BT4.view(*tokens_BT.shape, PATCH), positions_BT)

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Scores [N, V] over the vocabulary."""
        scores_NV: Tensor = self.head(hidden_ND)
        return scores_NV

    def make_cache(self, rows: int, length: int) -> PatchCache:
        """A cache on the model's device and in its dtype.

        Raises:
            ValueError: ``length`` is beyond the context the model was made for.
        """
        check_context(length, self.context)
        shape, patches, layers = self.shape, math.ceil(length / PATCH), self.shape.layers + self.shape.thinking_steps
        device, sizes = self.start.device, {"first": most_pages(1, patches), "most": most_pages(rows, patches)}
        attention = KeyValueCache.like(self.start, layers, rows, shape.heads, patches, shape.hidden // shape.heads)
        contexts = Pool((PAGE, shape.hidden), self.start.dtype, device, **sizes)
        tokens = Pool((PAGE, PATCH), torch.long, device, **sizes)
        attention.table.pools += (contexts, tokens)
        return PatchCache(rows, length, tokens, contexts, attention)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight: normal, a matrix by its inputs (LeCun), those back into a residual stream less, by depth.

        With 0.02 for all of them, as in thor, a small model learns more slowly: see docs/development/studies.md.
        """
        shrink = 1 / math.sqrt(2 * (self.shape.layers + self.shape.thinking_steps))
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
            elif name in ("start", "places"):
                weight.normal_(0.0, INIT_DEVIATION, generator=generator)
            elif name == "reader.embedding":
                weight.normal_(0.0, 1.0, generator=generator)
            else:
                into_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                deviation = weight.shape[1] ** -0.5 * (shrink if into_residual else 1.0)
                weight.normal_(0.0, deviation, generator=generator)

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

        recent_BT4 = F.pad(tokens_BT, (PATCH - 1, 0)).unfold(1, PATCH, 1)
        # a byte goes on from the patch that it completes, or else from the one before; in the first, from the start
        complete_BT = patches_BT + (places_BT == PATCH - 1)
        known_BT = complete_BT.masked_fill(positions_BT < PATCH - 1, 0)
        hidden = []
        for contexts_BPD in self._contexts(bytes_BP4, numbers_BP, attends)[rounds]:
            from_start_BPD = torch.cat((self.start.expand(rows, 1, -1), self.norm(contexts_BPD)), dim=1)
            known_BTD = from_start_BPD.gather(1, known_BT[:, :, None].expand(-1, -1, self.shape.hidden))
            hidden.append(self._write(known_BTD, recent_BT4, positions_BT))
        return hidden

    def _contexts(self, bytes_BP4: Tensor, numbers_BP: Tensor, attends: Sequence[Attend]) -> list[Tensor]:
        """What is known after each patch, [B, P, D], after 0, 1, ... rounds of thinking, to be normalised."""
        x_BPD = F.dropout(self.reader(bytes_BP4), self.dropout, self.training)
        turn = rotation(numbers_BP, self.frequencies)
        for layer, attend in zip(self.layers, attends[: self.shape.layers], strict=True):
            x_BPD = layer(x_BPD, turn, attend)
        rounds = [x_BPD]
        if self.thinking is not None:
            for attend in attends[self.shape.layers :]:
                rounds.append(self.thinking(rounds[-1], turn, attend))
        return rounds

    def _write(self, known_BTD: Tensor, recent_BT4: Tensor, positions_BT: Tensor) -> Tensor:
        """The states that predict the byte after each position: from its context and the last bytes up to it."""
        missing_BT4 = positions_BT[..., None] + _back(positions_BT.device) < 0
        local_BTD = self.reader(recent_BT4.masked_fill(missing_BT4, self.vocabulary))
        since_BTD = F.embedding((positions_BT + 1) % PATCH, self.places)
        written_BTD: Tensor = self.decoder(known_BTD + local_BTD + since_BTD)
        return written_BTD


class FourBytes(nn.Module):
    """Four bytes in their order as one vector; ``vocabulary`` itself stands for none, before a document begins."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        each = math.ceil(width / PATCH)
        self.embedding = nn.Parameter(torch.empty(vocabulary + 1, each))
        self.mix = Linear(PATCH * each, width)

    def forward(self, bytes_BN4: Tensor) -> Tensor:
        """[B, N, 4] to [B, N, D]."""
        mixed_BND: Tensor = self.mix(F.embedding(bytes_BN4, self.embedding).flatten(2))
        return mixed_BND


class Thinking(ThorLayer):
    """One refinement block, whose change a gate lets through channel by channel."""

    def __init__(self, block: ThorShape, dropout: float) -> None:
        super().__init__(block, dropout)
        self.gate = Linear(block.hidden, block.hidden, bias=True)

    def forward(self, x_BPD: Tensor, turn: Turn | None, attend: Attend) -> Tensor:
        """One round further."""
        refined_BPD = super().forward(x_BPD, turn, attend)
        gated_BPD: Tensor = x_BPD + torch.sigmoid(self.gate(refined_BPD)) * (refined_BPD - x_BPD)
        return gated_BPD


class ByteDecoder(nn.Module):
    """Feed-forward layers that make of what is known at a byte the state that predicts the next."""

    def __init__(self, block: ThorShape, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([RMSNorm(block.hidden, block.norm_epsilon) for _ in range(DECODER_LAYERS)])
        self.layers = nn.ModuleList([ThorFeedForward(block) for _ in range(DECODER_LAYERS)])
        self.norm = RMSNorm(block.hidden, block.norm_epsilon)
        self.dropout = dropout

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Each position for itself."""
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x_BTD = x_BTD + F.dropout(layer(norm(x_BTD)), self.dropout, self.training)
        normed_BTD: Tensor = self.norm(x_BTD)
        return normed_BTD


def _spread(tokens_BT: Tensor, numbers_BT: Tensor, places_BT: Tensor, count: int) -> Tensor:
    """Tokens put where they belong, [B, count, 4]; 0 where none does."""
    rows = len(tokens_BT)
    flat = tokens_BT.new_zeros(rows, count * PATCH)
    return flat.scatter(1, numbers_BT * PATCH + places_BT, tokens_BT).view(rows, count, PATCH)


def _back(device: torch.device) -> Tensor:
    """Where the last four bytes are, seen from the last."""
    return torch.arange(1 - PATCH, 1, device=device)
