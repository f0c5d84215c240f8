"""How single tokens are written in answers."""

import codecs
from collections import deque
from collections.abc import Iterable

from engine.inference.requests import Scored
from engine.tokenizers.base import Tokenizer

Placed = tuple[int, Scored]
"""A token, and where it begins in its text, in characters."""


def written(tokenizer: Tokenizer, token: int) -> str:
    """The text of one token; ``bytes:\\xe2`` for a part of a character, as OpenAI writes it."""
    if token in tokenizer.specials:
        return tokenizer.specials[token]
    data = tokenizer.decode_bytes([token])
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


class Offsets:
    """Where each token of a text begins, in characters; one that is never finished is U+FFFD there."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._length = 0

    def add(self, token: int) -> int:
        """The place of the next token."""
        data = self._tokenizer.decode_bytes([token])
        if data and not self._goes_on_with(data[:1]):
            self._finish()
        place = self._length
        self._length += len(self._decoder.decode(data))
        return place

    def prompt(self, tokens: Iterable[int], text: str) -> list[int]:
        """The places of a prompt's tokens in its text; the answer begins after it.

        The text may lack the space that its first token begins with: SentencePiece puts one before every text.
        """
        places = [self.add(token) for token in tokens]
        self._finish()
        lacking = max(self._length - len(text), 0)
        self._length = len(text)
        return [max(place - lacking, 0) for place in places]

    def _goes_on_with(self, byte: bytes) -> bool:
        """Whether this byte can follow what is there of a character."""
        begun, _ = self._decoder.getstate()
        try:
            codecs.utf_8_decode(begun + byte, "strict", False)
        except UnicodeDecodeError:
            return False
        return True

    def _finish(self) -> None:
        self._length += len(self._decoder.decode(b"", final=True))


class Shown:
    """The tokens of a streamed answer, each when its text is shown: later, where a stop string may be forming."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._specials = tokenizer.specials
        self._offsets = Offsets(tokenizer)
        self._waiting: deque[Placed] = deque()
        self._length = 0

    def prompt(self, tokens: Iterable[int], text: str) -> list[int]:
        """The places of the prompt's tokens, which are shown before the answer."""
        places = self._offsets.prompt(tokens, text)
        self._length = len(text)
        return places

    def piece(self, text: str, tokens: Iterable[Scored]) -> list[Placed]:
        """The tokens that are shown now that more text is."""
        self._waiting += [(self._offsets.add(token.id), token) for token in tokens]
        self._length += len(text)
        return [self._waiting.popleft() for place, _ in list(self._waiting) if place < self._length]

    def rest(self, reason: str) -> list[Placed]:
        """The tokens without text at the end; none where a stop string cut them off."""
        cut_off = reason == "stop" and self._waiting and self._waiting[-1][1].id not in self._specials
        return [] if cut_off else list(self._waiting)
