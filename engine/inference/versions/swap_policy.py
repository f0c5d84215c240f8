"""Which versions are in memory and what may happen to them: a pure table. Neither torch nor threads are needed.

A version in memory is in one of six states, and ``users`` requests are bound to it:

    prepared    whole, checked, warm; only requests that ask for it by number reach it
    serving     new requests go to it; at most one version is
    previous    served before: its requests finish on it, pins reach it, going back to it is a flip
    kept        served earlier, and shares the base of the one that serves; otherwise like previous
    guest       in memory only because a job asks for it; beside the two sets of weights, as long as memory allows
    retiring    its slot is needed: takes no more requests, goes when its last one ends

    | event     | absent             | prepared            | serving       | previous, kept      | retiring         |
    | --------- | ------------------ | ------------------- | ------------- | ------------------- | ---------------- |
    | `admit`   | load, if there is  | ready               | ready         | becomes prepared,   | becomes prepared,|
    |           | room; else wait    |                     |               | ready               | ready            |
    | `loaded`  | becomes prepared   | error               | error         | error               | error            |
    | `commit`  | error              | becomes serving     | nothing       | becomes serving     | becomes serving  |
    | `abandon` | nothing            | becomes retiring    | nothing       | nothing; a kept one | nothing          |
    |           |                    |                     |               | becomes retiring    |                  |
    | `clear`   | nothing            | becomes retiring    | becomes       | becomes retiring    | nothing          |
    |           |                    |                     | retiring      |                     |                  |
    | `enter`   | error              | one user more       | one user more | one user more       | error            |
    | `leave`   | error              | one user less       | one user less | one user less       | one user less    |
    | `invite`  | load, if there is  | ready               | ready         | ready               | becomes a guest, |
    |           | room; else wait    |                     |               |                     | ready            |

A guest is to these events what a version is that only its users keep: `admit` has it prepared, `commit` has it serve,
`abandon` and `clear` have it retire, `enter` and `leave` count its users, and to `invite` it is ready. One that has
users stays until they leave; one without makes way for the next guest.

There is room for two sets of weights, for as many versions as the `Budget` says, and for the bytes that it says. Where
there is none, `admit` makes some: what else is prepared retires; the previous version does where it is the only one
with its weights and there are two sets already; then, where bytes are short, the guest does, then kept ones, the one
that was asked for longest ago first, and then the previous one. Guests are counted in bytes only, and `invite` sends
nobody away but an idle guest.

With `commit` the version that served becomes previous, and one that was previous is kept. Whatever is kept and does not
share the base of the version that now serves retires, so that of versions with weights of their own there are two.
After every event a retiring version without users is gone. So a request never loses the version it runs on, and the
version that serves is only ever replaced by another, except by `clear`: where memory holds no second version, `room`
says so, everything in memory goes first, and new requests wait until the next `commit`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

SLOTS = 2
"""Sets of weights in memory at once. A version that brings a third waits until one of them is gone."""

State = Literal["prepared", "serving", "previous", "kept", "guest", "retiring"]
Admission = Literal["ready", "load", "wait"]
Room = Literal["beside", "in place", "none"]


@dataclass(frozen=True, slots=True)
class Place:
    """One version in memory."""

    state: State
    users: int = 0
    base: str = ""
    """The sum of weights that it can share with others; empty where it shares none."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What versions may take.

    Attributes:
        most: versions in memory at once.
        needed: bytes of the one that is to be loaded.
        free: bytes that nobody has.
        held: bytes that each version in memory gives back when it goes.
    """

    most: int = SLOTS
    needed: int = 0
    free: int = 0
    held: Mapping[int, int] = field(default_factory=dict)


Table = Mapping[int, Place]
"""Versions in the order in which they came into their states; of kept ones, in which they were last asked for."""
EMPTY: Table = MappingProxyType({})


def only(table: Table, state: State) -> int | None:
    """The version in this state; of prepared, serving and previous there is at most one each."""
    return next((version for version, place in table.items() if place.state == state), None)


def admit(table: Table, version: int, base: str = "", budget: Budget | None = None) -> tuple[Table, Admission]:
    """The first phase of a swap: is it in memory, may it be loaded, or must it wait?

    ``base`` is the sum of weights that it shares with others once it is loaded.
    """
    budget = Budget() if budget is None else budget
    for other, place in table.items():
        if place.state == "prepared" and other != version:
            table = _moved(table, other, "retiring")
    if version in table:
        waits = table[version].state in ("previous", "kept", "guest", "retiring")
        table = _moved(table, version, "prepared") if waits else table
        return _within_slots(table, table[version].base, own=False), "ready"
    table = _within_slots(table, base, own=True)
    while _is_full(table, budget) and (last := _first_to_go(table, budget)) is not None:
        table = _moved(table, last, "retiring")
    waits_for_one = _sets(table, base) > SLOTS or _is_full(table, budget)
    leaves = any(place.state == "retiring" for place in table.values())
    return table, "wait" if waits_for_one and leaves else "load"


def invite(table: Table, version: int, base: str = "", budget: Budget | None = None) -> tuple[Table, Admission]:
    """A job asks for a version: is it in memory, may it be loaded, or must the job wait?

    Args:
        table: what is in memory.
        version: what is asked for.
        base: the sum of weights that it shares with others once it is loaded.
        budget: bytes it needs, and those that there are.
    """
    budget = Budget() if budget is None else budget
    place = table.get(version)
    if place is not None and place.state != "retiring":
        return table, "ready"
    guest = only(table, "guest")
    if guest is not None and not table[guest].users:
        table, guest = _moved(table, guest, "retiring"), None
    if guest is not None or (place is None and _lacks_bytes(table, budget)):
        return table, "wait"
    return (table, "load") if place is None else (_moved(table, version, "guest"), "ready")


def _within_slots(table: Table, base: str, *, own: bool) -> Table:
    """The previous version retires where a version with this base, if it is not there yet, brings a set too many."""
    previous = only(table, "previous")
    if previous is not None and _sets(table, base, own=own) > SLOTS and _is_alone(table, previous):
        return _moved(table, previous, "retiring")
    return table


def _sets(table: Table, base: str, *, own: bool = True) -> int:
    """Sets of weights, without those of guests, that there are once a version with this base is there.

    ``own`` says that it is not there yet.
    """
    places = [place for place in table.values() if place.state != "guest"]
    shared = {place.base for place in places} | {base}
    return len(shared - {""}) + sum(not place.base for place in places) + (own and not base)


def _is_alone(table: Table, version: int) -> bool:
    """No other version shares its weights."""
    base = table[version].base
    return not base or sum(place.base == base for place in table.values()) == 1


def _is_full(table: Table, budget: Budget) -> bool:
    """One more is too many, or takes more bytes than there are."""
    return _residents(table) >= budget.most or _lacks_bytes(table, budget)


def _residents(table: Table) -> int:
    """Versions in memory that are not guests."""
    return sum(place.state != "guest" for place in table.values())


def _lacks_bytes(table: Table, budget: Budget) -> bool:
    """It takes more than is free when those are gone that are not in the table any more."""
    given_back = sum(size for version, size in budget.held.items() if version not in table)
    return budget.needed > budget.free + given_back


def _first_to_go(table: Table, budget: Budget) -> int | None:
    guest, kept = only(table, "guest"), only(table, "kept")
    if guest is not None and _lacks_bytes(table, budget):
        return guest
    return only(table, "previous") if kept is None else kept


def loaded(table: Table, version: int, base: str = "", most: int = SLOTS) -> Table:
    """It was loaded and checked, after `admit` said that it may.

    Raises:
        ValueError: it is in memory already, or there is no slot.
    """
    if version in table or _residents(table) >= most or _sets(table, base) > SLOTS:
        raise ValueError(f"there is no slot for version {version}")
    return MappingProxyType({**table, version: Place("prepared", base=base)})


def received(table: Table, version: int, base: str = "") -> Table:
    """It was loaded and checked, after `invite` said that it may.

    Raises:
        ValueError: it is in memory already, or another guest is.
    """
    if version in table or only(table, "guest") is not None:
        raise ValueError(f"there is no place for version {version} as a guest")
    return MappingProxyType({**table, version: Place("guest", base=base)})


def see_off(table: Table, version: int) -> Table:
    """Nobody has asked for a guest for long: it goes, unless it has users or is no guest any more."""
    place = table.get(version)
    if place is not None and place.state == "guest" and not place.users:
        return _moved(table, version, "retiring")
    return table


def commit(table: Table, version: int) -> Table:
    """The second phase: new requests go to it from now on."""
    if table[version].state == "serving":
        return table
    before, previous = only(table, "serving"), only(table, "previous")
    if previous is not None and previous != version:
        table = _moved(table, previous, "kept")
    if before is not None:
        table = _moved(table, before, "previous")
    table = _moved(table, version, "serving")
    base = table[version].base
    for other, place in list(table.items()):
        if place.state == "kept" and not (base and place.base == base):
            table = _moved(table, other, "retiring")
    return table


def abandon(table: Table, version: int) -> Table:
    """Forget what was prepared, kept, or a guest; requests that still run on it finish."""
    if version in table and table[version].state in ("prepared", "kept", "guest"):
        return _moved(table, version, "retiring")
    return table


def expendable(table: Table) -> int | None:
    """The version that goes first where running requests need its memory: without users, a guest, else kept."""
    idle = {place.state: version for version, place in reversed(list(table.items())) if not place.users}
    return idle.get("guest", idle.get("kept"))


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
    bound = replace(place, users=place.users + 1)
    others = {v: other for v, other in table.items() if v != version} if place.state == "kept" else table
    return MappingProxyType({**others, version: bound})


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
    others = {v: place for v, place in table.items() if v != version}
    return _settled({**others, version: replace(table[version], state=state)})


def _settled(table: Table) -> Table:
    """Without retiring versions that nobody uses."""
    return MappingProxyType({v: place for v, place in table.items() if place.state != "retiring" or place.users})
