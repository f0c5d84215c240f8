"""Thoughts of a model in the text of its answer: not learned, like those that APIs and programs keep apart.

    <think> ... </think> answer                  DeepSeek, Qwen and most others
    ... </think> answer                          the same, where the template has begun the thoughts
    <|begin_of_thought|> ... <|end_of_thought|>  <|begin_of_solution|> answer <|end_of_solution|>
    <Thought> ... </Thought> <Output> answer </Output>, and the marks of Cohere, Kimi, Magistral and Seed
    ```plaintext
    Thought process: ... ```                     as exporters of Claude's pages write it

Only what stands before the answer is a thought; an answer may speak of these marks.
"""

import re

_PAIRS = (
    *((f"<{name}>", f"</{name}>") for name in ("think", "thinking", "thought", "reasoning")),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    *((f"<{name}>", f"</{name}>") for name in ("Thought", "Thinking", "Think", "seed:think", "thoughts", "scratchpad")),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("[THINK]", "[/THINK]"),
    *((f"{fence}plaintext\nThought process:", f"\n{fence}") for fence in ("````", "```")),
)
BEGINS = ("<", "\u25c1", "[THINK]", "```plaintext", "````plaintext")
"""What thoughts begin with."""
END = "</think>"
"""Where thoughts end whose beginning is not in the text."""
_ALONE = re.compile(rf"(?m)^[ \t]*{END}[ \t]*$")
_BLANK = re.compile(r"\s*")
_SOLUTIONS = (
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<Output>", "</Output>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
)


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
    marks = next((marks for marks in _SOLUTIONS if said.startswith(marks[0])), None) if at > begin else None
    return said.removeprefix(marks[0]).strip().removesuffix(marks[1]).strip() if marks else said


def _visible_from(text: str, at: int) -> int:
    """The place of the first visible character from ``at`` on."""
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at
