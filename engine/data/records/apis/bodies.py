"""Bodies of requests and responses: some logs write them as strings, or put them below ``body``."""

import json

from pydantic import JsonValue

from engine.data.records.limits import FormatError
from engine.data.records.values import is_record


def body_of(value: JsonValue) -> JsonValue:
    """The body itself.

    Raises:
        FormatError: it is a string that begins like JSON and is not.
    """
    if isinstance(value, str) and value.lstrip()[:2] in ('{"', "{\n", "{ "):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise FormatError("a body that begins like JSON and is not: it was cut off, or is not text") from None
    return body_of(value["body"]) if is_record(value) and isinstance(value.get("body"), dict | str) else value
