"""Calls to tools as a structure: their names are those of tools, and arguments keep to each tool's own schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from engine.inference.constraints.constraint import StructureError
from engine.inference.constraints.schema import prepared
from engine.inference.constraints.structures import JsonStructure, as_json, lark, within_bounds
from engine.tokenizers.call_form import CallForm

_NOTHING: Mapping[str, JsonValue] = {"type": "object", "properties": {}, "additionalProperties": False}


@dataclass(frozen=True)
class Tool:
    """A tool that may be called; ``parameters`` is the schema of its arguments."""

    name: str
    parameters: Mapping[str, JsonValue]

    @property
    def schema(self) -> Mapping[str, JsonValue]:
        """The schema: without parameters an object without keys."""
        return {"type": "object", **self.parameters} if self.parameters else _NOTHING


@dataclass(frozen=True)
class CallsStructure:
    """One call, or ``several``, in a model's form; or else, where there is such, ``answer``."""

    form: CallForm
    tools: Sequence[Tool]
    several: bool
    answer: JsonStructure | None = None

    def grammar(self) -> str:
        """As `Structure`."""
        within_bounds(as_json([{**tool.schema} for tool in self.tools]), "all parameters together")
        between = self.form.between
        calls = "call" if between is None or not self.several else f"call ({as_json(between)} call)*"
        rules = [f"start: {calls}" if self.answer is None else f"start: {calls} | answer"]
        rules.append("call: " + " | ".join(f"tool_{number}" for number in range(len(self.tools))))
        for number, tool in enumerate(self.tools):
            marked = (_string(self.form.opens), f"%json {as_json(self._call(number, tool))}", _string(self.form.closes))
            rules.append(f"tool_{number}: {' '.join(filter(None, marked))}")
        if self.answer is not None:
            within_bounds(as_json(self.answer.schema), "the schema of the answer")
            rules.append(f"answer: %json {as_json(prepared(self.answer.schema))}")
        return lark("\n".join(rules) + "\n")

    def _call(self, number: int, tool: Tool) -> JsonValue:
        """The schema of a call. References in that of its arguments go on to mean its own definitions."""
        try:
            arguments = prepared({**tool.schema})
        except StructureError as error:
            raise StructureError(f"the parameters of {tool.name}: {error}") from error
        named: JsonValue = {"name": {"const": tool.name}, self.form.key: {**arguments, "$id": f"tool:{number}"}}
        required: JsonValue = ["name", self.form.key]
        return prepared({"type": "object", "properties": named, "required": required})


def _string(mark: str) -> str:
    return as_json(mark) if mark else ""
