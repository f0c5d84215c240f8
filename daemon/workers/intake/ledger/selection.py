"""Which samples are meant by an ID, a file or an owner, with whatever else says the same.

| with a sample goes | because |
| --- | --- |
| each earlier form of the dialogue | it is its beginning |
| each longer dialogue that begins with it | it says all of it again |
| what else the same record gave: a preference, a label | it holds the same text |
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.workers.intake.ledger.catalog import Catalog, Entry
from engine.data.samples import KINDS, Dialogue, Preference, Sample
from engine.data.segments import DamagedSegmentError, Segments

_HEAD = 32
"""Bytes of a canonical form that a dialogue shares with whatever begins with it; no canonical form is shorter."""


class NotKnownError(Exception):
    """Nothing is called so, or several samples are; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody means: samples by their IDs, those of one file, those of one owner.

    Attributes:
        served: the folder where the server puts chats, one folder in it for each owner.
    """

    ids: tuple[str, ...]
    source: str | None
    owner: str | None
    served: Path


@dataclass(frozen=True, slots=True)
class Chosen:
    """Every sample that is meant, in the order of the ledger.

    Attributes:
        named: the numbers of those that were meant themselves; the others come with them.
    """

    entries: list[Entry]
    named: frozenset[int]


def choose(wanted: Wanted, catalog: Catalog, segments: Segments) -> Chosen:
    """Find every sample that is meant.

    Raises:
        NotKnownError: an ID or a file is not known; nothing of an owner is no error.
    """
    named = list(_named(wanted, catalog, segments))
    chosen = {entry.number: entry for entry in named}
    for entry in (*_twins(named, catalog, segments), *_forms(named, catalog, segments)):
        chosen.setdefault(entry.number, entry)
    return Chosen([chosen[number] for number in sorted(chosen)], frozenset(entry.number for entry in named))


def _named(wanted: Wanted, catalog: Catalog, segments: Segments) -> Iterator[Entry]:
    for name in wanted.ids:
        found = catalog.called(name)
        if len(found) != 1:
            problem = f"is the beginning of {len(found)} IDs: give more of it" if found else "is not the ID of a sample"
            raise NotKnownError(f"{name} {problem}; 'thorctl data find TEXT' shows IDs")
        yield found[0]
    if wanted.source is not None:
        if not catalog.sources_called(wanted.source):
            raise NotKnownError(f"no file called {wanted.source} was read; 'thorctl data' shows the largest ones")
        yield from catalog.of_sources(catalog.sources_called(wanted.source))
    if wanted.owner is not None:
        yield from catalog.below(wanted.served / wanted.owner)
        for entry in catalog.of_kind("preference"):
            sample = _read(entry, segments)
            if isinstance(sample, Preference) and sample.provenance.owner == wanted.owner:
                yield entry


def _twins(named: Sequence[Entry], catalog: Catalog, segments: Segments) -> Iterator[Entry]:
    """Samples of other kinds that were read from the same records."""
    by_place = {(entry.source, entry.line, entry.kind): entry for entry in named}
    lines: dict[Path, set[int]] = defaultdict(set)
    for entry in named:
        lines[entry.source].add(entry.line)
    for source, wanted in lines.items():
        for other in catalog.at(source, wanted):
            for kind in KINDS:
                found = by_place.get((source, other.line, kind))
                if found is None or kind == other.kind:
                    continue
                sample, twin = _read(found, segments), _read(other, segments)
                if sample is not None and twin is not None and twin.group == sample.group:
                    yield other


def _forms(named: Iterable[Entry], catalog: Catalog, segments: Segments) -> Iterator[Entry]:
    """Earlier and longer forms of dialogues."""
    heads: set[bytes] = set()
    identities: set[str] = set()
    shortest = 0
    for entry in named:
        sample = _read(entry, segments) if entry.kind == "dialogue" else None
        if not isinstance(sample, Dialogue):
            continue
        for beginning in sample.prefix_identities():
            yield from catalog.exactly(beginning)
        heads.add(sample.canonical.encode()[:_HEAD])
        identities.add(entry.identity)
        shortest = min(shortest or entry.turns, entry.turns)
    if not identities:
        return
    for entry in catalog.longer_than(shortest):
        if _raw(entry, segments)[:_HEAD] not in heads:
            continue
        sample = _read(entry, segments)
        if isinstance(sample, Dialogue) and not identities.isdisjoint(sample.prefix_identities()):
            yield entry


def _read(entry: Entry, segments: Segments) -> Sample | None:
    try:
        return segments.read(entry.location)
    except DamagedSegmentError:
        return None


def _raw(entry: Entry, segments: Segments) -> bytes:
    try:
        return segments.raw(entry.location)
    except DamagedSegmentError:
        return b""
