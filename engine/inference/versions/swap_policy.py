"""Which versions are in memory and what may happen to them: a pure table. Neither torch nor threads are needed.

A version in memory is in one of four states, and ``users`` requests are bound to it:

    prepared    whole, checked, warm; only requests that ask for it by number reach it
    serving     new requests go to it; at most one version is
    previous    served before: its requests finish on it, pins reach it, going back to it is a flip
    retiring    its slot is needed: takes no more requests, goes when its last one ends

    | event     | absent             | prepared            | serving       | previous            | retiring         |
    | --------- | ------------------ | ------------------- | ------------- | ------------------- | ---------------- |
    | `admit`   | load, if a slot is | ready               | ready         | becomes prepared,   | becomes prepared,|
    |           | free; else wait    |                     |               | ready               | ready            |
    | `loaded`  | becomes prepared   | error               | error         | error               | error            |
    | `commit`  | error              | becomes serving     | nothing       | becomes serving     | becomes serving  |
    | `abandon` | nothing            | becomes retiring    | nothing       | nothing             | nothing          |
    | `clear`   | nothing            | becomes retiring    | becomes       | becomes retiring    | nothing          |
    |           |                    |                     | retiring      |                     |                  |
    | `enter`   | error              | one user more       | one user more | one user more       | error            |
    | `leave`   | error              | one user less       | one user less | one user less       | one user less    |

`admit` of one version first makes room: what else is prepared and, where no slot is free, what is previous retires.
With `commit` the version that served becomes previous, and one that was previous retires. After every event a retiring
version without users is gone. So a request never loses the version it runs on, and the version that serves is only
ever replaced by another, except by `clear`: where memory holds no second version, `room` says so, everything in memory
goes first, and new requests wait until the next `commit`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

SLOTS = 2
"""Versions in memory at once. A third one waits until one of them is gone."""

State = Literal["prepared", "serving", "previous", "retiring"]
Admission = Literal["ready", "load", "wait"]
Room = Literal["beside", "in place", "none"]


@dataclass(frozen=True, slots=True)
class Place:
    """One version in memory."""

    state: State
    users: int = 0


Table = Mapping[int, Place]
EMPTY: Table = MappingProxyType({})


def only(table: Table, state: State) -> int | None:
    """The version in this state; of prepared, serving and previous there is at most one each."""
    return next((version for version, place in table.items() if place.state == state), None)


def admit(table: Table, version: int) -> tuple[Table, Admission]:
    """The first phase of a swap: is it in memory, may it be loaded, or must it wait?"""
    for other, place in table.items():
        if place.state == "prepared" and other != version:
            table = _moved(table, other, "retiring")
    if version in table:
        waits = table[version].state in ("previous", "retiring")
        return (_moved(table, version, "prepared") if waits else table), "ready"
    previous = only(table, "previous")
    if len(table) >= SLOTS and previous is not None:
        table = _moved(table, previous, "retiring")
    return table, "load" if len(table) < SLOTS else "wait"


def loaded(table: Table, version: int) -> Table:
    """It was loaded and checked, after `admit` said that it may.

    Raises:
        ValueError: it is in memory already, or there is no slot.
    """
    if version in table or len(table) >= SLOTS:
        raise ValueError(f"there is no slot for version {version}")
    return MappingProxyType({**table, version: Place("prepared")})


def commit(table: Table, version: int) -> Table:
    """The second phase: new requests go to it from now on."""
    if table[version].state == "serving":
        return table
    before, previous = only(table, "serving"), only(table, "previous")
    if previous is not None and previous != version:
        table = _moved(table, previous, "retiring")
    if before is not None:
        table = _moved(table, before, "previous")
    return _moved(table, version, "serving")


def abandon(table: Table, version: int) -> Table:
    """Forget what was prepared; requests that still run on it, because it had served before, finish."""
    if version in table and table[version].state == "prepared":
        return _moved(table, version, "retiring")
    return table


def clear(table: Table) -> Table:
    """Make way for a version that does not fit beside the one that serves."""
    for version in list(table):
        if version in table:
            table = _moved(table, version, "retiring")
    return table


def room(table: Table, version: int, needed: int, free: int, held: Mapping[int, int]) -> Room:
    """Where a version finds its memory: beside the one that serves, only in its place, or not at all.

    Args:
        table: what is in memory.
        version: what is to be.
        needed: bytes it takes.
        free: bytes that nobody has.
        held: bytes that each version in memory gives back when it goes.
    """
    if version in table:
        return "beside"
    serving = only(table, "serving")
    if needed <= free + sum(size for other, size in held.items() if other != serving):
        return "beside"
    return "in place" if needed <= free + sum(held.values()) else "none"


def enter(table: Table, version: int) -> Table:
    """A request binds to it.

    Raises:
        KeyError: it is not in memory, or takes no requests.
    """
    place = table[version]
    if place.state == "retiring":
        raise KeyError(version)
    return MappingProxyType({**table, version: replace(place, users=place.users + 1)})


def leave(table: Table, version: int) -> Table:
    """A request that was bound to it has ended.

    Raises:
        KeyError: it is not in memory.
        ValueError: no request is bound to it.
    """
    place = table[version]
    if not place.users:
        raise ValueError(f"version {version} has no users")
    return _settled({**table, version: replace(place, users=place.users - 1)})


def _moved(table: Table, version: int, state: State) -> Table:
    return _settled({**table, version: replace(table[version], state=state)})


def _settled(table: Table) -> Table:
    """Without retiring versions that nobody uses."""
    return MappingProxyType({v: place for v, place in table.items() if place.state != "retiring" or place.users})
