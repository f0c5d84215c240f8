"""Tokens and their log-probabilities as answers have them: how each is written, where it begins, which are shown."""

import codecs
from collections import deque
from collections.abc import Iterable

from daemon.workers.server.answers import Result
from engine.inference.requests import EndedBy, Scored
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


class ShownTokens:
    """The tokens of an answer, each when its text is shown: later, where a stop string may be forming."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._offsets = Offsets(tokenizer)
        self._waiting: deque[Placed] = deque()
        self._length = 0

    def prompt(self, tokens: Iterable[int], text: str) -> list[int]:
        """The places of the prompt's tokens, which are shown before the answer."""
        places = self._offsets.prompt(tokens, text)
        self._length = len(text)
        return places

    def add(self, text: str, tokens: Iterable[Scored]) -> list[Placed]:
        """The tokens that are shown now that more text is."""
        self._waiting += [(self._offsets.add(token.id), token) for token in tokens]
        self._length += len(text)
        return [self._waiting.popleft() for place, _ in list(self._waiting) if place < self._length]

    def rest(self, ended_by: EndedBy) -> list[Placed]:
        """The tokens without text at the end; none where a stop string or a stop token cut them off."""
        return [] if ended_by in {"stop_string", "stop_token"} else list(self._waiting)

    def whole(self, result: Result) -> list[Placed]:
        """The tokens of an answer in one piece."""
        return [*self.add(result.text, result.tokens), *self.rest(result.ended_by)]
