"""Structures that were asked for lately, compiled: programs send the same one with every request."""

import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING

from engine.inference.constraints.calls import CallsStructure
from engine.inference.constraints.masks import MaskThreads
from engine.inference.constraints.optional_calls import OptionalCalls
from engine.inference.constraints.structures import Structure
from engine.tokenizers.base import Tokenizer

if TYPE_CHECKING:
    from engine.inference.constraints.compiler import Compiled
    from engine.inference.constraints.vocabulary import Vocabulary

MOST_KEPT = 32
MOST_KEPT_BYTES = 1 << 20
"""Of all sources together."""


class CompiledStructures:
    """Compiles, and keeps what it compiled. May be used by any thread; llguidance is imported with the first use."""

    def __init__(self) -> None:
        self._threads = MaskThreads()
        self._lock = threading.Lock()
        self._vocabularies: weakref.WeakKeyDictionary[Tokenizer, Vocabulary] = weakref.WeakKeyDictionary()
        self._kept: OrderedDict[tuple[int, str], Compiled] = OrderedDict()

    def compiled(self, structure: Structure, tokenizer: Tokenizer) -> "Compiled":
        """The structure over the tokens of ``tokenizer``.

        Raises:
            StructureError: it is not understood, too large, or too costly.
        """
        from engine.inference.constraints.compiler import Compiled

        source = structure.grammar()
        with self._lock:
            vocabulary = self._vocabulary(tokenizer)
            key = (id(vocabulary), source)
            if key not in self._kept:
                self._kept[key] = Compiled(source, vocabulary, self._threads)
            self._kept.move_to_end(key)
            found = self._kept[key]
            while len(self._kept) > MOST_KEPT or sum(len(kept) for _, kept in self._kept) > MOST_KEPT_BYTES:
                self._kept.popitem(last=False)
            return found

    def optional(self, calls: CallsStructure, tokenizer: Tokenizer) -> OptionalCalls:
        """Free text in which such calls may begin; the rest as `compiled`."""
        compiled = self.compiled(calls, tokenizer)
        return OptionalCalls(calls, compiled, compiled.vocabulary.table, self._threads)

    def _vocabulary(self, tokenizer: Tokenizer) -> "Vocabulary":
        """The tokens of a tokenizer. Each version loads its own, and mostly they are the same."""
        from engine.inference.constraints.vocabulary import Vocabulary

        known = self._vocabularies.get(tokenizer)
        if known is None:
            table = [tokenizer.decode_bytes([token]) for token in range(tokenizer.vocabulary)]
            same = (each for each in self._vocabularies.values() if each.table == table)
            known = next(same, None) or Vocabulary(tokenizer, table)
            self._vocabularies[tokenizer] = known  # the first tokenizer of each table stays: llguidance holds it
        return known
