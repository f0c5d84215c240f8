"""Response headers of thord's own."""

import itertools
import re
import uuid
from collections.abc import Iterable

from starlette.requests import Request

VERSION = "x-thord-version"
"""The version that made an answer."""
IGNORED_FIELDS = "x-thord-ignored-fields"
"""Fields of the request that mean nothing to thord."""
REQUEST_ID = "x-request-id"
"""What a request is called in logs and errors: as its client says, else a new UUID."""
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_MOST_NAMED = 20
_LONGEST_NAME = 60


def request_id(request: Request) -> str:
    """What this request is called, the same whenever it is asked."""
    known = getattr(request.state, "request_id", None)
    if isinstance(known, str):
        return known
    given = request.headers.get(REQUEST_ID, "")
    name = given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
    request.state.request_id = name
    return name


def ignored_fields(names: Iterable[str]) -> str:
    """The value of `IGNORED_FIELDS`: names, separated by commas. Long names and long lists are cut."""
    written = [_in_a_header(name) for name in itertools.islice(names, _MOST_NAMED + 1)]
    return ", ".join(written if len(written) <= _MOST_NAMED else [*written[:-1], "..."])


def _in_a_header(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "?" for c in name[:_LONGEST_NAME])
