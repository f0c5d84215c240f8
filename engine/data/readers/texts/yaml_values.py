"""YAML as JSON values, within the limits of a record, with `pyyaml` (extra ``yaml``).

Only what JSON has too is read: anchors that are used, tags, and keys other than scalars are refused. A word without
quotes is null, true, false or a number where YAML 1.2's core schema says so (``no`` is a word), else a string.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from pydantic import JsonValue

from engine.data.records.limits import FormatError, Limits

_CONSTANTS: dict[str, JsonValue] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?\d{1,18}")
_NUMBER = re.compile(r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d{1,2})?")


class _Event(NamedTuple):
    """What the parser met; ``line`` counts from 1, ``is_plain`` is a scalar without quotes."""

    kind: Literal["document", "scalar", "mapping", "sequence", "end"]
    line: int
    value: str = ""
    is_plain: bool = False


def documents(text: str, limits: Limits) -> Iterator[JsonValue]:
    """Each document of a text.

    Raises:
        ImportError: the library is not there.
        FormatError: it is not YAML from here on, is more than JSON can say, or breaks a limit.
    """
    events = _events(text)
    for event in events:
        if event.kind == "document":
            yield _Document(events, limits).value()


def _events(text: str) -> Iterator[_Event]:
    import yaml

    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.AliasEvent):
                raise FormatError(f"line {line}: an alias (*{event.anchor}): write out what it stands for")
            if getattr(event, "tag", None) is not None:
                raise FormatError(f"line {line}: a tag ({event.tag}): write the value without it")
            match event:
                case yaml.DocumentStartEvent():
                    yield _Event("document", line)
                case yaml.ScalarEvent():
                    yield _Event("scalar", line, event.value, event.style is None)
                case yaml.MappingStartEvent():
                    yield _Event("mapping", line)
                case yaml.SequenceStartEvent():
                    yield _Event("sequence", line)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    yield _Event("end", line)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FormatError(f"line {line}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise FormatError(str(error)) from None


class _Document:
    """One document, put together from its events."""

    def __init__(self, events: Iterator[_Event], limits: Limits) -> None:
        self._events, self._limits = events, limits
        self._containers = 0

    def value(self) -> JsonValue:
        """What it is."""
        return self._value(next(self._events), 1)

    def _value(self, event: _Event, depth: int) -> JsonValue:
        if event.kind == "scalar":
            return _scalar(event)
        self._containers += 1
        if depth > self._limits.depth:
            raise FormatError(f"line {event.line}: nested deeper than {self._limits.depth} levels")
        if self._containers > self._limits.containers:
            raise FormatError(f"more than {self._limits.containers} objects and arrays in one document")
        inner = iter(self._next_inside, None)
        if event.kind == "sequence":
            return [self._value(each, depth + 1) for each in inner]
        found: dict[str, JsonValue] = {}
        for each in inner:
            if (key := _key(each)) in found:
                raise FormatError(f"line {each.line}: the key '{key[:80]}' appears twice in one object")
            found[key] = self._value(next(self._events), depth + 1)
        return found

    def _next_inside(self) -> _Event | None:
        """The next event of the same container; none at its end."""
        event = next(self._events)
        return None if event.kind == "end" else event


def _key(event: _Event) -> str:
    if event.kind != "scalar":
        raise FormatError(f"line {event.line}: a key must be a word, not a list or an object")
    return event.value


def _scalar(event: _Event) -> JsonValue:
    if not event.is_plain:
        return event.value
    if event.value in _CONSTANTS:
        return _CONSTANTS[event.value]
    if _INTEGER.fullmatch(event.value):
        return int(event.value)
    return float(event.value) if _NUMBER.fullmatch(event.value) else event.value
