"""How probable each of several texts is after a prompt that is read once.

The log-probability of a candidate is the sum of those of its tokens. All first tokens are scored by the one pass that
ends the prompt; the rest of a candidate is read behind the prompt, one candidate after the other in the same row, and
overwritten by the next.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class HasLogprob(Protocol):
    """A scored token."""

    @property
    def logprob(self) -> float:
        """Its log-probability under the model itself."""
        ...


class Branch(NamedTuple):
    """Tokens of a candidate to read next, ``offset`` positions behind the prompt, and those that follow each."""

    offset: int
    tokens: Sequence[int]
    targets: Sequence[int]


class CandidateScores:
    """The scores of one sequence's candidates, as far as they are known.

    Attributes:
        logprobs: the sum of what is scored of each candidate.
    """

    def __init__(self, candidates: Sequence[Sequence[int]]) -> None:
        self.logprobs = [0.0] * len(candidates)
        self._candidates = candidates
        self._pending = [place for place, tokens in enumerate(candidates) if len(tokens) > 1]
        self._offset = 0
        self._is_begun = False

    @property
    def first_tokens(self) -> Sequence[int]:
        """The first tokens of all candidates; empty where they are scored."""
        return () if self._is_begun else [tokens[0] for tokens in self._candidates]

    @property
    def is_done(self) -> bool:
        """Every candidate is scored."""
        return self._is_begun and not self._pending

    def branch(self, longest: int) -> Branch:
        """What to read next, ``longest`` tokens at most."""
        tokens, start = self._candidates[self._pending[0]], self._offset
        end = min(start + longest, len(tokens) - 1)
        return Branch(start, tokens[start:end], tokens[start + 1 : end + 1])

    def begin(self, scored: Sequence[HasLogprob]) -> None:
        """Take in the scores of the first tokens."""
        self.logprobs = [token.logprob for token in scored]
        self._is_begun = True

    def go_on(self, scored: Sequence[HasLogprob]) -> bool:
        """Take in the scores of what `branch` gave. True: that candidate is whole."""
        place = self._pending[0]
        self.logprobs[place] += sum(token.logprob for token in scored)
        self._offset += len(scored)
        if self._offset < len(self._candidates[place]) - 1:
            return False
        del self._pending[0]
        self._offset = 0
        return True
