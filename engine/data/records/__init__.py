"""From one JSON record to samples: a module for each shape that people write, told apart by the keys that are there.

`registry.parse` is the way in. Decisions that hold for every shape:

* Text is brought to NFC with ``\\n`` line ends; control characters other than tab and newline are removed, a lone
  surrogate becomes U+FFFD, blank ends go (`text.clean`).
* A turn without words or tool calls is left out. Consecutive turns of one role stay apart, so that a dialogue that
  grows keeps its earlier form as its beginning. A last turn that nobody answered stays.
* A dialogue needs at least one assistant turn to learn.
"""
