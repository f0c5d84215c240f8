"""Marks that ChatGPT and OpenAI's threads put behind what they cite: no page shows them as they stand in an export.

\\ue200cite\\ue202turn0search3\\ue201                        a source, or several
\\ue200entity\\ue202["river", "Tay", "Scotland"]\\ue201      a name with a card behind it
【12†source】                                             a source, as older versions write it
"""

import json
import re

_MARK = re.compile(" ?\ue200([^\ue200-\ue202]{1,40})\ue202([^\ue200\ue201]*)\ue201")
_OLD = re.compile(" ?\u3010[^\u3010\u3011\n]{0,60}\u2020[^\u3010\u3011\n]{0,200}\u3011")


def without_citations(text: str) -> str:
    """The text as the page shows it; of a name with a card, the name."""
    if "\ue200" in text:
        text = _MARK.sub(_shown, text)
    return _OLD.sub("", text) if "\u2020" in text else text


def _shown(mark: re.Match[str]) -> str:
    if mark[1] != "entity":
        return ""
    try:
        held = json.loads(mark[2].partition("\ue202")[0])
    except (ValueError, RecursionError):
        return ""
    named = held[1] if isinstance(held, list) and len(held) > 1 else ""
    return f" {named}" if mark[0].startswith(" ") else str(named)
