"""Response headers of thord's own."""

import itertools
from collections.abc import Iterable

VERSION = "x-thord-version"
"""The version that made an answer."""
IGNORED_FIELDS = "x-thord-ignored-fields"
"""Fields of the request that mean nothing to thord."""
_MOST_NAMED = 20
_LONGEST_NAME = 60


def ignored_fields(names: Iterable[str]) -> str:
    """The value of `IGNORED_FIELDS`: names, separated by commas. Long names and long lists are cut."""
    written = [_in_a_header(name) for name in itertools.islice(names, _MOST_NAMED + 1)]
    return ", ".join(written if len(written) <= _MOST_NAMED else [*written[:-1], "..."])


def _in_a_header(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "?" for c in name[:_LONGEST_NAME])
