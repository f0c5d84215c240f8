"""Under which licence a model may be used: what the card in its folder says."""

import re
from pathlib import Path

_CARD = "README.md"
_MOST_BYTES = 1 << 16
_FRONT = re.compile(r"\A---\r?\n(.*?)^---\s*$", re.DOTALL | re.MULTILINE)
_LINE = re.compile(r"^license(?:_name)?:[ \t]*[\"']?([\w.+ -]+?)[\"']?[ \t]*\r?$", re.MULTILINE)


def read(folder: Path) -> dict[str, str]:
    """``licence``, where the card has a line ``license:`` in the front matter that the Hugging Face hub reads.

    ``license_name`` counts where the licence is ``other``. Nothing is read from a card that is missing or unreadable:
    a model can be used without.
    """
    try:
        with (folder / _CARD).open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return {}
    front = _FRONT.match(text)
    said = [found for found in _LINE.findall(front[1]) if found != "other"] if front else []
    return {"licence": said[0]} if said else {}
