"""Passwords in addresses among the settings, masked before settings are shown."""

import re

from pydantic import JsonValue

_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):[^/\s]*@")


def masked(table: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The same settings with ``***`` in place of the password of every address."""
    return {key: _masked(value) for key, value in table.items()}


def _masked(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return _PASSWORD.sub(r"\1:***@", value)
        case list():
            return [_masked(each) for each in value]
        case dict():
            return masked(value)
        case _:
            return value
