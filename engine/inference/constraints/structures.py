"""What an answer may be made to look like, each as a grammar of llguidance. Pure: nothing is compiled here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from engine.inference.constraints.constraint import StructureError
from engine.inference.constraints.schema import prepared

MOST_BYTES = 64 << 10
"""Of a schema, a regular expression, a grammar, or choices."""


class Structure(Protocol):
    """Something that an answer must look like."""

    def grammar(self) -> str:
        """The same as a grammar of llguidance.

        Raises:
            StructureError: it is too large, or malformed.
        """
        ...


@dataclass(frozen=True)
class JsonStructure:
    """JSON that a schema allows."""

    schema: JsonValue

    def grammar(self) -> str:
        """As the Protocol."""
        within_bounds(as_json(self.schema), "the schema")
        return as_json({"grammars": [{"json_schema": prepared(self.schema)}]})


@dataclass(frozen=True)
class RegexStructure:
    """What a regular expression matches as a whole, in the syntax of Rust's ``regex``."""

    pattern: str

    def grammar(self) -> str:
        """As the Protocol."""
        from llguidance import LLMatcher

        within_bounds(self.pattern, "the regular expression")
        if not self.pattern:
            raise StructureError("the regular expression is empty")
        return LLMatcher.grammar_from_regex(self.pattern)


@dataclass(frozen=True)
class ChoiceStructure:
    """One of several texts."""

    texts: Sequence[str]

    def grammar(self) -> str:
        """As the Protocol."""
        if not self.texts or not all(self.texts):
            raise StructureError("choices are one or more texts, none of them empty")
        within_bounds("".join(self.texts), "all choices together")
        return lark("start: " + " | ".join(as_json(text) for text in dict.fromkeys(self.texts)))


@dataclass(frozen=True)
class GrammarStructure:
    """What a grammar derives, in the syntax of Lark or of llama.cpp (GBNF)."""

    source: str

    def grammar(self) -> str:
        """As the Protocol."""
        from llguidance.gbnf_to_lark import any_to_lark

        within_bounds(self.source, "the grammar")
        try:
            return lark(any_to_lark(self.source))
        except Exception as error:  # whatever its own parser of GBNF raises
            raise StructureError(str(error) or type(error).__name__) from error


def within_bounds(text: str, what: str) -> None:
    """Compare a text with `MOST_BYTES`.

    Raises:
        StructureError: it is larger.
    """
    size = len(text.encode(errors="replace"))
    if size > MOST_BYTES:
        raise StructureError(f"{what} has {size} bytes; at most {MOST_BYTES} are allowed")


def lark(source: str) -> str:
    """A grammar of Lark for llguidance."""
    return as_json({"grammars": [{"lark_grammar": source}]})


def as_json(value: JsonValue) -> str:
    """A schema for a grammar; of a text, the same text as a string of Lark."""
    return json.dumps(value, ensure_ascii=False)
