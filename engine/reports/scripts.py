"""The script that a text is written in, by the names of its letters in Unicode."""

import unicodedata
from collections import Counter

_LETTERS = 400
"""So many of a text tell."""


def script_of(text: str) -> str:
    """Such as ``latin``, ``cyrillic`` or ``cjk``: that of most letters; ``none`` where there is no letter."""
    letters = [letter for letter in text[: 4 * _LETTERS] if letter.isalpha()][:_LETTERS]
    counted = Counter(unicodedata.name(letter, "other").split(" ")[0].split("-")[0].lower() for letter in letters)
    return counted.most_common(1)[0][0] if counted else "none"
