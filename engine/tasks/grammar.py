"""The grammar of an answer that names spans: nothing but words of the text, and labels of the task."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from engine.data.tasks.spans import on_one_line
from engine.data.tasks.task import NOTHING
from engine.inference.constraints.structures import lark, within_bounds


@dataclass(frozen=True)
class SpansStructure:
    """One span of ``source``, or with ``labels`` a line for each of several. Implements `structures.Structure`."""

    source: str
    labels: Sequence[str] = ()

    def grammar(self) -> str:
        """As the Protocol."""
        within_bounds(self.source, "the text")
        words = f'WORDS: %regex {{"substring_words": {json.dumps(on_one_line(self.source), ensure_ascii=False)}}}'
        if not self.labels:
            return lark(f'start: "{NOTHING}" | WORDS\n{words}\n')
        labels = " | ".join(json.dumps(label, ensure_ascii=False) for label in self.labels)
        return lark(f'start: "{NOTHING}" | item ("\\n" item)*\nitem: LABEL ": " WORDS\nLABEL: {labels}\n{words}\n')
