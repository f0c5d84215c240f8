"""What goes and what stays: a pure function of what is there, the policy and the time. The rules, in their order:

| rule   | what it takes                                                                              |
| ------ | ------------------------------------------------------------------------------------------ |
| needed | nothing: what something needs stays, whatever the others say                               |
| upload | what was uploaded, where the settings want it removed then                                 |
| count  | of each kind, what is older than the newest so many                                        |
| age    | what is older than so many days                                                            |
| cache  | the oldest corpora, until the cache fits its own budget and enough of the disk is free     |
| space  | the oldest of the rest, until all of it fits the budget and enough of the disk is free     |
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["version", "rejected", "artifact", "run", "published run", "snapshot", "figures", "tokenizer", "corpus"]
"""Weights of a version, of one that the gate rejected, and of one that the artifacts of a job hold too; checkpoints and
tokens of a run that published nothing, of one whose version is published; the data of a cycle; the metrics and
TensorBoard files of a run; a tokenizer that a job trained; a corpus that was fetched."""


@dataclass(frozen=True)
class Thing:
    """Something that could go.

    Attributes:
        number: of the version, cycle or job; 0 where there is none.
        name: of what a client or a job named: the run of an artifact, ``job-000012``, a tokenizer, a corpus.
        bytes: what would be free without it.
        since: when it came to be or ended, in seconds since 1970.
        needed: what needs it, in words; empty where nothing does.
        uploaded: where it was uploaded to, if it may therefore go.
    """

    kind: Kind
    number: int
    bytes: int
    since: float
    needed: str = ""
    name: str = ""
    uploaded: str = ""


@dataclass(frozen=True)
class Cache:
    """The budget of the cache of corpora."""

    max_bytes: int
    min_free_bytes: int


@dataclass(frozen=True)
class Policy:
    """How much is kept of what nothing needs.

    Attributes:
        keep: the newest so many of each kind; kinds that are not in it are not counted.
        setting: the name of the setting that says so, for each kind.
        seconds: how old it may become.
        max_bytes: of all that is there, needed or not; null: as the disk allows.
        min_free_bytes: what is to be free on the disk.
        cache: null: nothing goes by the rule of that name.
    """

    keep: Mapping[Kind, int]
    setting: Mapping[Kind, str]
    seconds: float
    max_bytes: int | None
    min_free_bytes: int
    cache: Cache | None = None


@dataclass(frozen=True)
class Plan:
    """Each with why: the rule that takes it, or what keeps it."""

    removed: tuple[tuple[Thing, str], ...]
    kept: tuple[tuple[Thing, str], ...]

    @property
    def bytes(self) -> int:
        """What will be free."""
        return sum(thing.bytes for thing, _ in self.removed)


def plan(inventory: Iterable[Thing], policy: Policy, now: float, free_bytes: int) -> Plan:
    """Decide about everything, oldest first. ``free_bytes`` are free on the disk now."""
    things = sorted(inventory, key=lambda thing: (thing.since, thing.kind, thing.number, thing.name))
    why_removed = {**_too_many(things, policy), **_too_old(things, policy, now), **_uploaded(things)}
    free = free_bytes + sum(thing.bytes for thing in why_removed)
    why_removed |= _beyond_cache([thing for thing in things if thing not in why_removed], policy, free)
    rest = sum(thing.bytes for thing in things if thing not in why_removed)
    free = free_bytes + sum(thing.bytes for thing in why_removed)
    for thing in things:
        rule = _too_large(rest, free, policy)
        if rule is None:
            break
        if not thing.needed and thing not in why_removed:
            why_removed[thing] = rule
            rest, free = rest - thing.bytes, free + thing.bytes
    return Plan(
        removed=tuple((thing, why_removed[thing]) for thing in things if thing in why_removed),
        kept=tuple((thing, thing.needed or _why_kept(thing, policy)) for thing in things if thing not in why_removed),
    )


def _too_many(things: list[Thing], policy: Policy) -> dict[Thing, str]:
    """The needed ones do not count: so many are kept besides them."""
    found: dict[Thing, str] = {}
    left = dict(policy.keep)
    for thing in reversed(things):
        if thing.needed or thing.kind not in left:
            continue
        if left[thing.kind] <= 0:
            found[thing] = _why_too_many(thing, policy)
        left[thing.kind] -= 1
    return found


def _why_too_many(thing: Thing, policy: Policy) -> str:
    if thing.kind == "published run" and not policy.keep[thing.kind]:
        return "its version is published"
    if thing.kind == "tokenizer":
        return f"nothing used it for so long ({policy.setting[thing.kind]})"
    return f"older than the newest {policy.keep[thing.kind]} ({policy.setting[thing.kind]})"


def _uploaded(things: list[Thing]) -> dict[Thing, str]:
    return {
        thing: f"it is in {thing.uploaded} (uploads.clean)" for thing in things if thing.uploaded and not thing.needed
    }


def _beyond_cache(things: list[Thing], policy: Policy, free_bytes: int) -> dict[Thing, str]:
    """Both bounds of the cache hold, the stricter one first; ``free_bytes`` are free now."""
    found: dict[Thing, str] = {}
    if policy.cache is None:
        return found
    corpora = [thing for thing in things if thing.kind == "corpus"]
    held = sum(thing.bytes for thing in corpora)
    for thing in corpora:
        if held > policy.cache.max_bytes:
            rule = "the cache is larger than retention.corpora.max_bytes"
        elif free_bytes < policy.cache.min_free_bytes:
            rule = "the disk is fuller than retention.corpora.min_free_bytes allows"
        else:
            break
        if not thing.needed:
            found[thing] = rule
            held, free_bytes = held - thing.bytes, free_bytes + thing.bytes
    return found


def _too_old(things: list[Thing], policy: Policy, now: float) -> dict[Thing, str]:
    days = f"{policy.seconds / 86_400:g}"
    return {
        thing: f"older than {days} days (retention.keep_days)"
        for thing in things
        if not thing.needed and now - thing.since > policy.seconds
    }


def _too_large(kept_bytes: int, free_bytes: int, policy: Policy) -> str | None:
    if policy.max_bytes is not None and kept_bytes > policy.max_bytes:
        return "all of it takes more space than retention.max_gigabytes allows"
    if free_bytes < policy.min_free_bytes:
        return "the disk is fuller than retention.min_free_gigabytes allows, or the next run would not fit"
    return None


def _why_kept(thing: Thing, policy: Policy) -> str:
    if thing.kind not in policy.keep:
        return "there is room for it in the cache (retention.corpora)"
    return f"among the newest {policy.keep[thing.kind]} ({policy.setting[thing.kind]})"
