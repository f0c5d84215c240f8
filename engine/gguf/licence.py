"""Who made a model, and under which licence it may be used: what GGUF files say of it."""

from engine.gguf.metadata import Metadata

_KEYS = {
    "name": ("general.name",),
    "maker": ("general.organization", "general.author"),
    "licence": ("general.license", "general.license.name"),
    "url": ("general.source.url", "general.url", "general.repo_url"),
}
"""The first key that is there counts. A licence ``other`` says nothing: its name is under the next key."""


def read(known: Metadata) -> dict[str, str]:
    """``name``, ``maker``, ``licence`` and ``url``, each only where the file says it."""
    found = {}
    for name, keys in _KEYS.items():
        for key in keys:
            if (text := known.get(key)) and isinstance(text, str) and text != "other":
                found[name] = text
                break
    return found
