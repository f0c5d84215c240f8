"""Dialogues as the HH preference data writes them: ``\\n\\nHuman: ...\\n\\nAssistant: ...`` blocks in one string."""

import re

from engine.data.records.dialogue import Turn

_TURN = re.compile(r"(?:\A|\n\n)(Human|Assistant):")


def is_hh(text: str) -> bool:
    """Whether a string is a dialogue of this form."""
    return text.lstrip().startswith("Human:") and "\n\nAssistant:" in text


def split_hh(text: str) -> list[Turn]:
    """The turns of such a dialogue, before they are cleaned."""
    parts = _TURN.split(text.strip())
    return [
        Turn("user" if name == "Human" else "assistant", said)
        for name, said in zip(parts[1::2], parts[2::2], strict=True)
    ]
