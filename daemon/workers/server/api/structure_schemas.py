"""What clients may send of an answer's structure, under the names of OpenAI, vLLM, SGLang and llama.cpp.

| field                                   | structure                                                   |
| --------------------------------------- | ----------------------------------------------------------- |
| response_format                         | a JSON object, or JSON of a schema                          |
| structured_outputs                      | one of json, json_object, regex, choice, grammar            |
| guided_json, json_schema                | JSON of a schema, which may be a string                     |
| guided_regex, regex                     | a regular expression                                        |
| guided_choice                           | one of several texts                                        |
| guided_grammar, grammar, ebnf           | a grammar of Lark or GBNF                                   |
"""

import json
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, model_validator

from daemon.workers.server.api.fields import STRUCTURED_OUTPUTS, Rules
from daemon.workers.server.api.request_body import RequestBody
from engine.inference.constraints.structures import (
    ChoiceStructure,
    GrammarStructure,
    JsonStructure,
    RegexStructure,
    Structure,
)

Schema = dict[str, JsonValue] | bool
MOST_CHOICES = 4096
Choices = Annotated[list[str], Field(min_length=1, max_length=MOST_CHOICES, fail_fast=True)]
ANY_OBJECT: Schema = {"type": "object"}


class NamedSchema(RequestBody):
    """A JSON schema and its name."""

    name: str | None = None
    description: str | None = None
    schema_: Schema | None = Field(None, alias="schema")
    strict: bool | None = Field(None, description="Has no effect: an answer always keeps to its schema.")


class ResponseFormat(RequestBody):
    """The field ``response_format``."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None
    schema_: Schema | None = Field(None, alias="schema", description="Another place for the schema.")

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        if self.json_schema is not None:
            yield "json_schema", self.json_schema

    @property
    def structure(self) -> Structure | None:
        """What an answer must be; null where it is text."""
        return None if self.type == "text" else JsonStructure(ANY_OBJECT if self.given is None else self.given)

    @property
    def given(self) -> Schema | None:
        """The schema, wherever it stands."""
        named = None if self.json_schema is None else self.json_schema.schema_
        return self.schema_ if named is None else named

    @model_validator(mode="after")
    def _has_its_schema(self) -> "ResponseFormat":
        if self.type == "json_schema" and self.given is None:
            raise ValueError("json_schema: the schema is missing")
        return self


class StructuredOutputs(RequestBody):
    """The field ``structured_outputs``: one of these."""

    rules: ClassVar[Rules] = STRUCTURED_OUTPUTS

    json_: Schema | str | None = Field(None, alias="json")
    json_object: bool | None = None
    regex: str | None = None
    choice: Choices | None = None
    grammar: str | None = None

    @property
    def structures(self) -> list[Structure]:
        """All that are asked for."""
        found: list[Structure] = []
        if self.json_ is not None:
            found.append(json_structure("json", self.json_))
        if self.json_object:
            found.append(JsonStructure(ANY_OBJECT))
        if self.regex is not None:
            found.append(RegexStructure(self.regex))
        if self.choice is not None:
            found.append(ChoiceStructure(self.choice))
        if self.grammar:
            found.append(GrammarStructure(self.grammar))
        return found

    @model_validator(mode="after")
    def _is_one(self) -> "StructuredOutputs":
        if len(self.structures) != 1:
            raise ValueError("one of json, json_object, regex, choice, grammar")
        return self


class StructuredBody(RequestBody):
    """The fields by which a client says what an answer must look like. One of them may be given."""

    response_format: ResponseFormat | None = Field(None, description="Text, any JSON object, or JSON of a schema.")
    structured_outputs: StructuredOutputs | None = None
    guided_json: Schema | str | None = Field(None, description="A JSON schema.")
    json_schema: Schema | str | None = Field(None, description="Another name for guided_json.")
    guided_regex: str | None = Field(None, description="A regular expression that the whole answer matches.")
    regex: str | None = Field(None, description="Another name for guided_regex.")
    guided_choice: Choices | None = Field(None, description="The answer is one of these texts.")
    guided_grammar: str | None = Field(None, description="A grammar in the syntax of Lark or GBNF.")
    grammar: str | None = Field(None, description="Another name for guided_grammar.")
    ebnf: str | None = Field(None, description="Another name for guided_grammar.")

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        if self.response_format is not None:
            yield "response_format", self.response_format
        if self.structured_outputs is not None:
            yield "structured_outputs", self.structured_outputs

    @property
    def structures(self) -> list[tuple[str, Structure]]:
        """The structures that are asked for, each with the field that names it."""
        found: list[tuple[str, Structure]] = []
        if self.response_format is not None and (asked := self.response_format.structure) is not None:
            found.append(("response_format", asked))
        if self.structured_outputs is not None:
            found.append(("structured_outputs", self.structured_outputs.structures[0]))
        schemas = (("guided_json", self.guided_json), ("json_schema", self.json_schema))
        found += [(name, json_structure(name, schema)) for name, schema in schemas if schema is not None]
        patterns = (("guided_regex", self.guided_regex), ("regex", self.regex))
        found += [(name, RegexStructure(pattern)) for name, pattern in patterns if pattern is not None]
        if self.guided_choice is not None:
            found.append(("guided_choice", ChoiceStructure(self.guided_choice)))
        grammars = (("guided_grammar", self.guided_grammar), ("grammar", self.grammar), ("ebnf", self.ebnf))
        found += [(name, GrammarStructure(source)) for name, source in grammars if source]
        return found

    @model_validator(mode="after")
    def _has_one_structure(self) -> "StructuredBody":
        names = [name for name, _ in self.structures]
        if len(names) > 1:
            raise ValueError(f"{names[1]}: an answer has one structure, and {names[0]} asks for one already")
        return self


def json_structure(field: str, schema: Schema | str) -> JsonStructure:
    """The structure of a schema that may be JSON in a string.

    Raises:
        ValueError: it is not JSON.
    """
    if not isinstance(schema, str):
        return JsonStructure(schema)
    try:
        return JsonStructure(json.loads(schema))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{field}: the schema is not JSON: {error}") from error
