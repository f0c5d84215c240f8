"""Dialogues in one string whose turns begin with ``Human:`` and ``Assistant:``.

A blank line parts them in HH and in prompts for Anthropic's first models, a line end in BELLE's multi-turn chats.
"""

import re

from engine.data.records.dialogue import Turn

_PARTED = re.compile(r"(?:\A|\n\n)(Human|Assistant):")
_WAITING = re.compile(r"\n\s*(?:Assistant|ASSISTANT|AI|Bot|GPT|Answer|A):\s*\Z")
_NAMED = re.compile(r"(?:\A|\n)[ \t]*(Human|User|USER|Question|Q|Assistant|ASSISTANT|AI|Bot|GPT|Answer|A):")
_ASKS = ("Human", "User", "USER", "Question", "Q")
_IN_LINES = re.compile(r"(?:\A|\n)(Human|Assistant):")


def is_blocks(text: str) -> bool:
    """Whether a string is a dialogue of this form."""
    return text.lstrip().startswith("Human:") and "\nAssistant:" in text


def waits(text: str) -> bool:
    """Whether a prompt is such a dialogue, by other names too, up to the name of who answers."""
    return text.lstrip().startswith(tuple(f"{name}:" for name in _ASKS)) and _WAITING.search(text) is not None


def turns_of_blocks(text: str) -> list[Turn]:
    """The turns of such a dialogue, before they are cleaned; a last one without words waits for its answer."""
    is_parted = "\n\nAssistant:" in text
    turn = (_PARTED if is_parted else _IN_LINES) if is_blocks(text) else _NAMED
    parts = turn.split(text.strip())
    return [
        Turn("user" if name in _ASKS else "assistant", said)
        for name, said in zip(parts[1::2], parts[2::2], strict=True)
    ]
