"""Marks that templates of models put behind a turn, and data sets leave at the end of what was said."""

import re

_MARKS = (
    r"<\|(?:im_end|eot_id|eom_id|eot|end|endoftext|end_of_text|end_of_turn|return)\|>|<end_of_turn>|<eo[ha]>"
    r"|<\uff5cend\u2581of\u2581sentence\uff5c>"
)
_END = re.compile(rf"\s*(?:{_MARKS}|</s>)\s*\Z")


def without_end_marks(text: str) -> str:
    """The text without such marks at its end; ``</s>`` may close an element of HTML."""
    while (end := _END.search(text, max(0, len(text) - 64))) and not ("</s>" in end[0] and "<s>" in text):
        text = text[: end.start()]
    return text
