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
_SOLUTION = re.compile(r"\s*<\|begin_of_solution\|>(.*?)(?:<\|end_of_solution\|>\s*)?\Z", re.DOTALL)


def without_thoughts(text: str) -> str:
    """The answer alone; nothing where the thoughts do not end."""
    said = text.lstrip()
    while pair := next((pair for pair in _PAIRS if said.startswith(pair[0])), None):
        said = said.partition(pair[1])[2].lstrip()
    if len(said) == len(text.lstrip()) and END in text and _PAIRS[0][0] not in text and (end := _ALONE.search(text)):
        said = text[end.end() :].lstrip()
    solution = _SOLUTION.match(said)
    return solution[1].strip() if solution else said
