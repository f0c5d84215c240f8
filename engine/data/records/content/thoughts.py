"""Thoughts of a model in the text of its answer: not learned, like those that APIs and programs keep apart.

    <think> ... </think> answer                  DeepSeek, Qwen and most others
    ... </think> answer                          the same, where the template has begun the thoughts
    <|begin_of_thought|> ... <|end_of_thought|>  <|begin_of_solution|> answer <|end_of_solution|>

Only what stands before the answer is a thought; an answer may speak of these marks.
"""

import re

_PAIRS = (
    *((f"<{name}>", f"</{name}>") for name in ("think", "thinking", "thought", "reasoning")),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)
END = "</think>"
"""Where thoughts end whose beginning is not in the text."""
_ALONE = re.compile(rf"(?m)^[ \t]*{END}[ \t]*$")
_BLANK = re.compile(r"\s*")
_SOLUTION = ("<|begin_of_solution|>", "<|end_of_solution|>")


def without_thoughts(text: str) -> str:
    """The answer alone; nothing where the thoughts do not end."""
    begin = at = _visible_from(text, 0)
    while pair := next((pair for pair in _PAIRS if text.startswith(pair[0], at)), None):
        end = text.find(pair[1], at)
        if end < 0:
            return ""
        at = _visible_from(text, end + len(pair[1]))
    if at == begin and END in text and _PAIRS[0][0] not in text and (alone := _ALONE.search(text)):
        at = _visible_from(text, alone.end())
    said = text[at:]
    if not said.startswith(_SOLUTION[0]):
        return said
    return said.removeprefix(_SOLUTION[0]).strip().removesuffix(_SOLUTION[1]).strip()


def _visible_from(text: str, at: int) -> int:
    """The place of the first visible character from ``at`` on."""
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at
