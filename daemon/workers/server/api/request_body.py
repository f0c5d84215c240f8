"""What every request's JSON has in common: strict types, and rules for the fields that no schema names."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from daemon.workers.server.api.fields import Rules


class RequestBody(BaseModel):
    """A request's JSON. Types are strict: a number is not a string."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    rules: ClassVar[Rules] = Rules()

    def parts(self) -> Iterator[tuple[str, "RequestBody"]]:
        """The objects in it, each with its place."""
        yield from ()

    def ignored(self, place: str = "") -> set[str]:
        """The places of fields that mean nothing to thord.

        Raises:
            ApiError: 400, a field asks for what cannot be done.
        """
        found = {f"{place}.{name}" if place else name for name in self.rules.ignored(self.model_extra or {}, place)}
        for name, part in self.parts():
            found |= part.ignored(f"{place}.{name}" if place else name)
        return found
