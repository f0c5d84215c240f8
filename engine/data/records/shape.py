"""What a shape of records is: how one is recognised by its keys, and what parses it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from engine.data.records.limits import FormatError, Limits
from engine.data.samples import Sample

Parsed = Sample | FormatError
"""A sample, or why one of several conversations in a record cannot be learned."""


@dataclass(frozen=True, slots=True)
class RecordShape:
    """A shape of records.

    Attributes:
        name: as refusals list it.
        fits: whether a record is of this shape, by its keys.
        parse: its samples; raises `FormatError` where a part of it is wrong, and returns it among the samples where
            it costs only one of several conversations.
        keys: a record of this shape has at least one of these; it is asked of every record where none are named.
    """

    name: str
    fits: Callable[[dict[str, JsonValue]], bool]
    parse: Callable[[dict[str, JsonValue], Limits], Sample | Sequence[Parsed]]
    keys: tuple[str, ...] = ()
