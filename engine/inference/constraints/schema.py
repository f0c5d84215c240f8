"""JSON schemas as answers are held to them: bounded, with one way to write each value, and without keys of chance."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from engine.inference.constraints.constraint import StructureError

MOST_LEVELS = 64
SEPARATORS: Mapping[str, JsonValue] = {
    "whitespace_flexible": False,
    "whitespace_pattern": None,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": False,
    "coerce_one_of": False,
}
"""The way Python writes JSON, in which calls are learned. In free white space small models lose themselves."""
_OPTIONS = "x-guidance"
_KEYED = ("properties", "patternProperties", "$defs", "definitions")
_LISTED = ("anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalItems", "additionalProperties")
_COMBINED = ("allOf", "anyOf", "oneOf", "$ref")
_OPEN = ("additionalProperties", "patternProperties", "unevaluatedProperties")


def prepared(schema: JsonValue) -> dict[str, JsonValue]:
    """The schema for llguidance.

    An object whose schema names its properties and is silent about others gets no others: what it allows is valid
    still, and small models are not led astray. Schemas joined by ``allOf`` are left as they are.

    Raises:
        StructureError: it is not a schema, or too deep.
    """
    if schema is True:
        schema = {}
    if not isinstance(schema, dict):
        raise StructureError("a JSON schema is an object")
    if _is_deeper(schema, MOST_LEVELS):
        raise StructureError(f"the schema is nested deeper than {MOST_LEVELS} levels")
    joined = any(isinstance(each.get("allOf"), list) and len(_list(each["allOf"])) > 1 for each in _objects(schema))
    closed = schema if joined else _closed(schema)
    return {**closed, _OPTIONS: {**SEPARATORS}}


def _closed(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    closed: dict[str, JsonValue] = {key: value for key, value in schema.items() if key != _OPTIONS}
    for key in _KEYED:
        if isinstance(inner := schema.get(key), dict):
            closed[key] = {name: _closed(each) if isinstance(each, dict) else each for name, each in inner.items()}
    for key in _LISTED:
        if isinstance(inner := schema.get(key), list):
            closed[key] = [_closed(each) if isinstance(each, dict) else each for each in inner]
    for key in _SINGLE:
        if isinstance(inner := schema.get(key), dict):
            closed[key] = _closed(inner)
    if schema.get("properties") and not any(key in schema for key in (*_OPEN, *_COMBINED)):
        closed["additionalProperties"] = False
    return closed


def _objects(value: JsonValue) -> Iterator[dict[str, JsonValue]]:
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else _list(value):
        yield from _objects(each)


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _is_deeper(value: JsonValue, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)
