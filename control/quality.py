"""How good a version is, in words, by its bits per byte on what was held out. A pure function, its table in view.

| bits per byte | level     | what it is like                                                                    |
| ------------- | --------- | ---------------------------------------------------------------------------------- |
| 2.0 and more  | noise     | no better than a file compressor: ``xz`` needs 2.0 for a large text in English     |
| 1.5 to 2.0    | fragments | words and turns of phrase that belong together, hardly a sentence with a meaning   |
| 1.2 to 1.5    | sentences | sentences, often wrong: where models of bytes were that learned one text for long  |
| below 1.2     | fluent    | GPT-2 of 124 M weights had 1.16 on text that it never learned from                 |

Bits per byte can be compared between tokenizers and models, and roughly between languages. Text that repeats itself is
easier than language, so few bits there mean less.
"""

from collections.abc import Mapping
from typing import Literal, TypedDict

Level = Literal["noise", "fragments", "sentences", "fluent"]

_TABLE: tuple[tuple[float, Level, str], ...] = (
    (2.0, "noise", "this is noise"),
    (1.5, "fragments", "fragments of language: words that belong together, hardly a sentence"),
    (1.2, "sentences", "sentences, often wrong"),
    (float("-inf"), "fluent", "fluent text"),
)
_REMEDY = "a model that knows a language already: thorctl import starter"


class Quality(TypedDict):
    """How good a version is: a level for programs, and a sentence for people."""

    level: Level
    words: str


def quality(metrics: Mapping[str, float] | None, *, first: bool) -> Quality | None:
    """What the metrics of a version say of it; null where it was not judged yet.

    ``first``: it began with nothing, so the text of its run is all that it knows.
    """
    bits = (metrics or {}).get("bits_per_byte")
    if bits is None:
        return None
    level, words = next((level, words) for least, level, words in _TABLE if bits >= least)
    size = (metrics or {}).get("text_bytes") if first else None
    if level in {"noise", "fragments"}:
        words += f"; {_too_little(size)}; {_REMEDY}" if size else f"; {_REMEDY}"
    return {"level": level, "words": f"{words} ({bits:.2f} bits per byte)"}


def _too_little(size: float) -> str:
    return f"{megabytes(size)} of text is too little to learn a language from"


def megabytes(size: float) -> str:
    """``0.4 MB``, or ``17 KB`` where that is less than a tenth of one."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{max(1, round(size / 1e3))} KB"
