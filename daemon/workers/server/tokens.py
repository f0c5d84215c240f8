"""How single tokens are written in answers."""

import codecs

from engine.tokenizers.base import Tokenizer


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
    """Where each token of a text begins, in characters."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._length = 0

    def add(self, token: int) -> int:
        """The place of the next token."""
        place = self._length
        self._length += len(self._decoder.decode(self._tokenizer.decode_bytes([token])))
        return place
