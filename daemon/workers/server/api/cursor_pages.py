"""Lists that come in pages, as OpenAI's clients walk them: each page begins after the last id of the one before."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from fastapi import Request
from pydantic import JsonValue

from daemon.workers.server.errors import ApiError

T = TypeVar("T")


class Query:
    """The parameters of one request's URL. Those that nobody asks for are named in ``request.state.ignored``."""

    def __init__(self, request: Request) -> None:
        self._given = dict(request.query_params)
        self._request = request
        request.state.ignored = sorted(self._given)

    def text(self, name: str) -> str | None:
        """A parameter as it came; null where it did not."""
        self._request.state.ignored = [each for each in self._request.state.ignored if each != name]
        return self._given.get(name)

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """A parameter that has one of a few values.

        Raises:
            ApiError: 400, it has another one.
        """
        value = self.text(name) or default
        if value not in choices:
            raise ApiError(400, "invalid_value", f"{name}: it must be {' or '.join(choices)}", param=name)
        return value

    def limit(self, default: int, most: int) -> int:
        """How many to answer at most: ``limit``.

        Raises:
            ApiError: 400, it is not a number from 1 to ``most``.
        """
        value = self.text("limit")
        if value is None:
            return default
        if not value.isascii() or not value.isdecimal() or len(value) > 9 or not 1 <= int(value) <= most:
            raise ApiError(400, "invalid_value", f"limit: it must be a number from 1 to {most}", param="limit")
        return int(value)


def page(
    items: Sequence[T], after: str | None, limit: int, name: Callable[[T], str], write: Callable[[T], JsonValue]
) -> dict[str, JsonValue]:
    """Those of a list that follow the one called ``after``.

    Raises:
        ApiError: 400, none of the list is called so.
    """
    start = 0
    if after is not None:
        place = next((place for place, item in enumerate(items) if name(item) == after), None)
        if place is None:
            raise ApiError(400, "invalid_value", f"after: there is no {after[:100]!r} in this list", param="after")
        start = place + 1
    shown = items[start : start + limit]
    return {
        "object": "list",
        "data": [write(item) for item in shown],
        "first_id": name(shown[0]) if shown else None,
        "last_id": name(shown[-1]) if shown else None,
        "has_more": len(items) > start + limit,
    }
