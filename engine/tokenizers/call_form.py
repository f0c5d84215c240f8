"""How calls to tools stand in an answer: the same when they are learned and when they are served.

A form is JSON with the name and the arguments of the call, between two marks. thord's own has no marks, and a call is a
line by itself; `engine.tokenizers.templates.foreign_call_form` finds those of foreign models.
"""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallForm:
    """The form of one model.

    Attributes:
        opens: the mark before a call; empty: a call begins a line.
        closes: the mark behind it.
        between: what stands between two calls; null where an answer can have one only.
        key: the name that arguments have.
    """

    opens: str = ""
    closes: str = ""
    between: str | None = "\n"
    key: str = "arguments"

    def head(self, name: str) -> str:
        """A call to the tool ``name``, up to its arguments."""
        return f'{self.opens}{{"name": {json.dumps(name, ensure_ascii=False)}, "{self.key}": '

    @property
    def tail(self) -> str:
        """What follows the arguments."""
        return "}" + self.closes


PLAIN = CallForm()
"""thord's own, in which `ToolCall.text` writes."""
