"""Records with keys in capitals, as tables and programs in C# write them, with the keys that thord knows."""

from pydantic import JsonValue

_SPELLED = {
    name.lower(): name
    for name in (
        "systemInstruction",
        "systemPrompt",
        "systemMessage",
        "chunkedPrompt",
        "runSettings",
        "generationConfig",
    )
}


def is_capital(record: dict[str, JsonValue]) -> bool:
    """Whether its keys begin with capitals, told by the first."""
    return next(iter(record), "")[:1].isupper()


def lower(record: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The record with keys in lower case, also in the objects of it that write them in capitals.

    It stays as it is where two keys would become one.
    """
    lowered = {_spelled(key): _inside(value) for key, value in record.items()}
    return lowered if len(lowered) == len(record) else record


def _spelled(key: str) -> str:
    key = key.strip().lower().replace(" ", "_")
    return _SPELLED.get(key, key)


def _inside(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_inside(each) for each in value]
    return lower(value) if isinstance(value, dict) and is_capital(value) else value
