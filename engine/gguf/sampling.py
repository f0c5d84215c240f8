"""How a model is meant to be sampled from: what GGUF files say of it, and ``generation_config.json``."""

from collections.abc import Mapping

from pydantic import JsonValue

from engine.gguf.metadata import Metadata

_KEYS = {
    "temperature": "general.sampling.temp",
    "top_k": "general.sampling.top_k",
    "top_p": "general.sampling.top_p",
    "min_p": "general.sampling.min_p",
    "repetition_penalty": "general.sampling.penalty_repeat",
}


def read(known: Metadata) -> dict[str, JsonValue]:
    """What a file says, in the words of ``generation_config.json``; empty where it says nothing."""
    return {
        name: known.integer(key) if name == "top_k" else known.number(key)
        for name, key in _KEYS.items()
        if key in known
    }


def write(said: Mapping[str, JsonValue]) -> dict[str, int | float]:
    """The same for a file."""
    found: dict[str, int | float] = {}
    for name, key in _KEYS.items():
        value = said.get(name)
        if isinstance(value, int | float):
            found[key] = int(value) if name == "top_k" else float(value)
    return found
