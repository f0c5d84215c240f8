"""Words that were encoded once: byte-level BPE encodes a word alike wherever it stands, and texts repeat their words.

The library, given whole texts, spends most of its time around the merges: on finding words, and on where each stood.
"""

import re
from array import array
from collections.abc import Sequence

import tokenizers

from engine.tokenizers.byte_level import bytes_by_character

_SPACE = r"\t-\r\ "
_OTHER_SPACE = r"\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_WORDS = re.compile(
    rf"""
      \ ? (?: [A-Za-z]++ | [0-9]++ ) (?![^\0-\x7f])
    | ' (?: [stmd] | re | ve | ll )
    | \ ? [^A-Za-z0-9{_SPACE}\x80-\U0010ffff]++ (?![^\0-\x7f])
    | \ ? [^{_SPACE}{_OTHER_SPACE}]+
    | (?! [{_SPACE}]* [{_OTHER_SPACE}] ) (?: [{_SPACE}]+ (?![^{_SPACE}]) | [{_SPACE}]+ )
    | (?s: .+ )
    """,
    re.VERBOSE,
)
"""Cuts only where GPT-2's expression does, and where all is ASCII, everywhere there. What is a letter beyond ASCII is
for the library to say: a word with any such character goes on to the next white space, and where white space beyond
ASCII comes next, the rest of the text is one word."""
_MOST_CHARACTERS = 1 << 20
"""Some 40 MB of words with their ids."""
_LONGEST = 1000
"""Characters of a word that is remembered. What is longer is hardly one that comes again, and the library lets other
threads run only while it encodes batches."""


class Words(dict[str, bytes]):
    """Ids of words, 32 bits each, found when first asked for; forgets all where that becomes too much.

    Any thread may ask. The ids are bytes because garbage collection would look through lists again and again.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        """``inner`` is of `byte_level.byte_level`, and takes a special token that text spells as text."""
        super().__init__()
        self._inner = inner
        self._merge = inner.model.tokenize
        self._spelled = {byte: character for character, byte in bytes_by_character().items()}
        self._characters = 0

    def encode_batch(self, texts: Sequence[str]) -> list[bytes]:
        """The ids of each text, 32 bits each."""
        cut = [_WORDS.findall(text) for text in texts]
        self._prepare([words for text, words in zip(texts, cut, strict=True) if not text.isascii()])
        return [b"".join(map(self.__getitem__, words)) for words in cut]

    def _prepare(self, cut: Sequence[list[str]]) -> None:
        """Ask for new words beyond ASCII at once, on all processors."""
        met = {word for words in cut for word in words if not word.isascii() and word not in self}
        new = sorted(word for word in met if len(word) <= _LONGEST)
        for word, encoding in zip(new, self._inner.encode_batch_fast(new, add_special_tokens=False), strict=True):
            self._remember(word, encoding.ids)

    def __missing__(self, word: str) -> bytes:
        if len(word) > _LONGEST:
            return _packed(self._inner.encode_batch_fast([word], add_special_tokens=False)[0].ids)
        if word.isascii():
            ids = [token.id for token in self._merge(word.translate(self._spelled))]
        else:  # forgotten since it was prepared
            ids = self._inner.encode(word, add_special_tokens=False).ids
        return self._remember(word, ids)

    def _remember(self, word: str, ids: Sequence[int]) -> bytes:
        self._characters += len(word)
        if self._characters > _MOST_CHARACTERS:
            self.clear()
            self._characters = 0
        self[word] = packed = _packed(ids)
        return packed


def _packed(ids: Sequence[int]) -> bytes:
    return array("i", ids).tobytes()
