"""Dialogues in one string whose turns begin with ``Human:`` and ``Assistant:``.

A blank line parts them in HH and in prompts for Anthropic's first models, a line end in BELLE's multi-turn chats.
"""

import re

from engine.data.records.dialogue import Turn

_PARTED = re.compile(r"(?:\A|\n\n)(Human|Assistant):")
_IN_LINES = re.compile(r"(?:\A|\n)(Human|Assistant):")


def is_blocks(text: str) -> bool:
    """Whether a string is a dialogue of this form."""
    return text.lstrip().startswith("Human:") and "\nAssistant:" in text


def turns_of_blocks(text: str) -> list[Turn]:
    """The turns of such a dialogue, before they are cleaned; a last one without words waits for its answer."""
    turn = _PARTED if "\n\nAssistant:" in text else _IN_LINES
    parts = turn.split(text.strip())
    return [
        Turn("user" if name == "Human" else "assistant", said)
        for name, said in zip(parts[1::2], parts[2::2], strict=True)
    ]
