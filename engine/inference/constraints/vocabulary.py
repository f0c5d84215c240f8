"""A tokenizer as llguidance needs it: the bytes of every token, exactly as answers are decoded, and what ends a text.

Several tokens may stand for the same bytes, such as a letter that is a piece and a byte. llguidance knows one of them,
and the others may come where it may.
"""

from collections.abc import Sequence

import llguidance
import numpy as np
from numpy.typing import NDArray

from engine.inference.constraints.constraint import Allowed
from engine.tokenizers.base import END, EOS, Tokenizer


class Vocabulary:
    """The tokens of one tokenizer.

    Attributes:
        table: the bytes of each token; none for what is not text.
        inner: the same for llguidance.
    """

    def __init__(self, tokenizer: Tokenizer, table: Sequence[bytes]) -> None:
        self.table = table
        self._canonical, self._same = _first_of_each(self.table)
        self._others = np.flatnonzero(self._same)
        ends = sorted({tokenizer.special(EOS), tokenizer.special(END)})
        wrapped = llguidance.TokenizerWrapper(_Exact(tokenizer, self.table, self._canonical, ends))
        self.inner = llguidance.LLTokenizer(wrapped, n_vocab=len(self.table), eos_token=ends)

    def canonical(self, token: int) -> int:
        """The token by which llguidance knows these bytes."""
        return int(self._canonical[token])

    def allowed(self, bits: bytes) -> Allowed:
        """The mask of llguidance, a bit a token, for every token."""
        allowed = np.unpackbits(np.frombuffer(bits, np.uint8), count=len(self.table), bitorder="little").view(np.bool_)
        if len(self._others):
            allowed[self._others] = allowed[self._canonical[self._others]]
        return allowed


class _Exact:
    """What `llguidance.TokenizerWrapper` reads."""

    bos_token_id = None

    def __init__(
        self, tokenizer: Tokenizer, table: Sequence[bytes], canonical: NDArray[np.int64], ends: Sequence[int]
    ) -> None:
        self._tokenizer = tokenizer
        self._canonical = canonical
        self.eos_token_id = ends[0]
        self.special_token_ids = sorted({*tokenizer.specials, *ends})
        self.tokens = [data if canonical[token] == token else b"" for token, data in enumerate(table)]
        for token in self.special_token_ids:
            self.tokens[token] = tokenizer.specials.get(token, f"<|{token}|>").encode()

    def __call__(self, text: str) -> list[int]:
        if not isinstance(text, str):
            raise TypeError("texts only: llguidance tries bytes first")
        return [int(self._canonical[token]) for token in self._tokenizer.encode(text)]


def _first_of_each(table: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each token the first one with its bytes, and whether that is another."""
    first: dict[bytes, int] = {}
    canonical = np.array([first.setdefault(data, token) if data else token for token, data in enumerate(table)])
    return canonical, canonical != np.arange(len(table))
