"""A sample on its way into the ledger."""

from typing import NamedTuple

from engine.data.canonical import from_canonical
from engine.data.digest import digest_of, digest_of_plain
from engine.data.records.plain_messages import PlainDialogue
from engine.data.samples import Dialogue, Kind, Sample


class Candidate(NamedTuple):
    """What the ledger asks of a sample, which may have been read in another process.

    Attributes:
        turns: of a dialogue; 0 for other kinds.
        canonical, identity, beginnings, group: its digest (`engine.data.digest`).
        source: the number of the file that it was read from.
        line: where in it.
    """

    kind: Kind
    turns: int
    canonical: bytes
    identity: str
    beginnings: tuple[str, ...]
    group: str
    source: int
    line: int

    @property
    def sample(self) -> Sample:
        """The sample itself, which few of the rules look into."""
        return from_canonical(self.canonical.decode())


def candidate_of(sample: Sample, source: int, line: int) -> Candidate:
    """The candidate for a sample that stands in this line of a file."""
    turns = len(sample.messages) if isinstance(sample, Dialogue) else 0
    return Candidate(sample.kind, turns, *digest_of(sample), source, line)


def candidate_of_plain(plain: PlainDialogue, source: int, line: int) -> Candidate:
    """The same for a plain dialogue."""
    roles, texts = plain
    return Candidate("dialogue", len(texts), *digest_of_plain(roles, texts), source, line)
