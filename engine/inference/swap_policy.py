"""Which versions are in memory and what may happen to them: a pure table. Neither torch nor threads are needed.

A version in memory is in one of three states, and ``users`` requests are bound to it:

    prepared    whole, checked, warm; takes no new requests
    serving     new requests go to it; at most one version is
    draining    served before; its requests finish on it, then it goes

    | event        | absent               | prepared              | serving       | draining                     |
    | ------------ | -------------------- | --------------------- | ------------- | ---------------------------- |
    | `admit`      | load, or wait: two   | ready                 | ready         | ready: becomes prepared,     |
    |              | versions are in      |                       |               | so that going back is a flip |
    | `loaded`     | becomes prepared     | -                     | -             | -                            |
    | `commit`     | error: load it first | becomes serving, and  | nothing       | becomes serving, and the one |
    |              |                      | the one before drains |               | before drains                |
    | `abandon`    | nothing              | draining              | nothing       | nothing                      |
    | `enter`      | error                | one more user         | one more user | one more user                |
    | `leave`      | error                | one user less         | one less      | one user less                |

After every event a draining version without users is gone. So a version that serves is only ever replaced by another
one, never lost, and a request never loses the version it runs on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

SLOTS = 2
"""Versions in memory at once. A third one waits until one of them is gone."""

State = Literal["prepared", "serving", "draining"]
Admission = Literal["ready", "load", "wait"]


@dataclass(frozen=True, slots=True)
class Place:
    """One version in memory."""

    state: State
    users: int = 0


Table = Mapping[int, Place]
EMPTY: Table = MappingProxyType({})


def serving(table: Table) -> int | None:
    """The version that new requests go to."""
    return next((version for version, place in table.items() if place.state == "serving"), None)


def admit(table: Table, version: int) -> tuple[Table, Admission]:
    """The first phase of a swap: is it in memory, may it be loaded, or must it wait?

    Whatever else was prepared and not committed is given up: one swap at a time.
    """
    for other, place in table.items():
        if place.state == "prepared" and other != version:
            table = abandon(table, other)
    if version not in table:
        return table, "load" if len(table) < SLOTS else "wait"
    if table[version].state == "draining":
        table = _with(table, version, replace(table[version], state="prepared"))
    return table, "ready"


def loaded(table: Table, version: int) -> Table:
    """It was loaded and checked, after `admit` said that it may."""
    if version in table:
        raise ValueError(f"version {version} is in memory already")
    return _with(table, version, Place("prepared"))


def commit(table: Table, version: int) -> Table:
    """The second phase: new requests go to it from now on."""
    if version not in table:
        raise KeyError(version)
    before = serving(table)
    if before == version:
        return table
    if before is not None:
        table = _with(table, before, replace(table[before], state="draining"))
    return _settled(_with(table, version, replace(table[version], state="serving")))


def abandon(table: Table, version: int) -> Table:
    """Forget what was prepared; requests that still run on it (it had served before) finish."""
    place = table.get(version)
    if place is None or place.state != "prepared":
        return table
    return _settled(_with(table, version, replace(place, state="draining")))


def enter(table: Table, version: int) -> Table:
    """A request binds to it."""
    place = table[version]
    return _with(table, version, replace(place, users=place.users + 1))


def leave(table: Table, version: int) -> Table:
    """A request that was bound to it has ended."""
    place = table[version]
    if not place.users:
        raise ValueError(f"version {version} has no users")
    return _settled(_with(table, version, replace(place, users=place.users - 1)))


def _settled(table: Table) -> Table:
    return MappingProxyType({v: place for v, place in table.items() if place.state != "draining" or place.users})


def _with(table: Table, version: int, place: Place) -> Table:
    return MappingProxyType({**table, version: place})
