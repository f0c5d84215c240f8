"""Structures compiled by llguidance: bounded in time and memory, and each answer's way through one.

llguidance counts what it does ("fuel") and gives up where that is too much, so that neither compiling nor a mask can
take long: on one core of 2023 at most half a second and 30 ms.
"""

import re

import llguidance

from engine.inference.constraints.constraint import Allowed, StructureError
from engine.inference.constraints.masks import MaskThreads, ThreadedMask
from engine.inference.constraints.vocabulary import Vocabulary

_LIMITS = llguidance.LLParserLimits(max_lexer_states=20_000, verbose_errors=False)
"""States take 1 to 2 kB each."""

_OVERLAP = "oneOf: its branches must not overlap: give each a property of its own constant value, or use anyOf"


class Matcher:
    """One answer's way. Implements `engine.inference.constraints.constraint.Progress`."""

    def __init__(self, matcher: llguidance.LLMatcher, vocabulary: Vocabulary) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary

    def consume(self, token: int) -> None:
        """As the Protocol."""
        if not self._matcher.consume_token(self._vocabulary.canonical(token)):
            raise StructureError(self._reason())

    def consume_bytes(self, data: bytes) -> bool:
        """Go on by bytes, however tokens cut them. False: the structure does not allow them."""
        return self._matcher.consume_tokens(self._vocabulary.inner.tokenize_bytes(data))

    def allowed(self) -> Allowed:
        """As the Protocol."""
        allowed = self._vocabulary.allowed(self._matcher.compute_bitmask())
        if self._matcher.is_error() or not allowed.any():
            raise StructureError(self._reason())
        return allowed

    def copy(self) -> "Matcher":
        """Another one at the same place."""
        return Matcher(self._matcher.deep_copy(), self._vocabulary)

    def _reason(self) -> str:
        return said_by(self._matcher) or "the structure allows no token here"


class Compiled:
    """A structure that answers can be held to. Implements `engine.inference.constraints.constraint.Constraint`.

    Attributes:
        vocabulary: the tokens that it is compiled for.
    """

    def __init__(self, source: str, vocabulary: Vocabulary, threads: MaskThreads) -> None:
        """``source`` is a grammar of llguidance.

        Raises:
            StructureError: it is not understood, or costs too much.
        """
        matcher = llguidance.LLMatcher(vocabulary.inner, source, log_level=0, limits=_LIMITS)
        if matcher.is_error():
            raise StructureError(said_by(matcher))
        self.vocabulary = vocabulary
        self._start = Matcher(matcher, vocabulary)
        self._threads = threads
        self._first = self._start.allowed()

    def begin(self) -> ThreadedMask:
        """As the Protocol."""
        return self._threads.mask(self._start.copy(), self._first)

    def matcher(self) -> Matcher:
        """A new answer's way, from the beginning."""
        return self._start.copy()


def said_by(matcher: llguidance.LLMatcher) -> str:
    """What is wrong, without the state of the parser."""
    said = matcher.get_error().partition("<non-verbose/>")[0].strip()[:500]
    if said.startswith("Unimplemented keys: "):
        keywords = ", ".join(re.findall(r'"([^"]+)"', said))
        return f"answers cannot be held to these keywords of a schema: {keywords}"
    return _OVERLAP if said.startswith("oneOf constraints are not supported") else said
