"""From the bytes of a file to conversations: one parser a shape, chosen by looking at the content, never the name.

`read` is the way in. A file is first put in a layout (`layout`): JSON lines, a JSON document, a transcript, lines of
utterances, plain text. JSON values then go to the parser of their shape (`records`). What is no known shape, or breaks
a limit, is refused with a reason; the rest of the file is read on.

Decisions that hold for every shape:

* Text is brought to NFC with ``\\n`` line ends; control characters other than tab and newline are removed, a lone
  surrogate becomes U+FFFD, blank ends go (`text.clean`).
* A turn without words is left out. Consecutive turns of one role stay apart, so that a dialogue that grows keeps its
  earlier form as its beginning. A last turn that nobody answered stays.
* A dialogue needs at least one assistant turn.
"""

from engine.data.formats.items import FormatError, Found, Item, Layout, Limits, Refused, Resume
from engine.data.formats.read import read

__all__ = ["FormatError", "Found", "Item", "Layout", "Limits", "Refused", "Resume", "read"]
