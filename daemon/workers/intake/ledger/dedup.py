"""What is new in something read: nothing, all of it, or what it has grown by since.

The rules, for a dialogue that is not known in this form:

| an earlier form of it is | then |
| --- | --- |
| unknown | it is added, held out or new by its opening |
| new or held out, and exactly the earlier form | that row becomes the longer dialogue |
| set aside, and exactly the earlier form | that row becomes the longer dialogue, with new tries |
| in a cycle, learned, or part of another dialogue | it is added, learned from the first unknown turn on |
| all of it but unanswered turns | nothing is added: what was said is taken together with its answer |

What was forgotten (`daemon.workers.forgotten`) is not added again.

A longer dialogue stays on the side of the held-out line where its earlier form was. Preferences and labelled samples do
not grow: one that is not known yet is added as held.
"""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal, NamedTuple

from daemon.workers.forgotten import Forgotten
from daemon.workers.intake.ledger.samples import Addition, FoundAt, Samples, State
from engine import objectives
from engine.data.digest import Digest, digest_of
from engine.data.held_out import is_group_held_out
from engine.data.samples import Dialogue, Sample, Text
from engine.data.segments import DamagedSegmentError

Outcome = Literal["added", "duplicate", "held", "forgotten"]


@dataclass(frozen=True, slots=True)
class Tail:
    """The last thing read of a file, which may go on when the file grows.

    Attributes:
        whole: identity of all of it as it was read.
        length: characters of its text (0: not plain text).
        start: where in its text the part that was stored last begins.
        stored: identity of that part.
    """

    whole: str
    length: int
    start: int
    stored: str


class Candidate(NamedTuple):
    """A sample that was read, and where."""

    sample: Sample
    digest: Digest
    found: FoundAt

    @property
    def tail(self) -> Tail:
        """That of a file that ends with it."""
        identity = self.digest.identity
        return Tail(identity, len(self.sample.text) if isinstance(self.sample, Text) else 0, 0, identity)


class Dedup:
    """The rules, over the table of samples. Every call belongs inside a transaction."""

    def __init__(self, samples: Samples, forgotten: Forgotten, held_out_share: float) -> None:
        self._samples = samples
        self._forgotten = forgotten
        self._held_out_share = held_out_share

    def add_all(self, candidates: Sequence[Candidate]) -> Counter[Outcome]:
        """Record what is new in some hundred samples, in their order; how many had each outcome.

        What is known, and held out, is asked for all of them at once, and those of which nothing is known are recorded
        together. Where one is the beginning of another, in the ledger or here, they are taken one by one.
        """
        covered = self._samples.covered([i for each in candidates for i in _identities(each.digest)])
        openings = self._samples.openings_held_out([each.digest.group for each in candidates])
        forgotten = self._forgotten.among([each.digest for each in candidates])
        outcomes = Counter[Outcome]()
        additions: list[Addition] = []
        for sample, digest, found in candidates:
            if digest.identity in covered:
                outcomes["duplicate"] += 1
                continue
            if digest.identity in forgotten:
                outcomes["forgotten"] += 1
                continue
            if not covered.isdisjoint(digest.beginnings):
                self._samples.insert_all(additions)
                additions = []
                outcomes[self._add_longer(sample, digest, found)] += 1
            else:
                state = self._side(sample, digest, openings)
                additions.append(Addition(sample, digest, state, found))
                outcomes["held" if state == "held" else "added"] += 1
            covered.update(_identities(digest))
        self._samples.insert_all(additions)
        return outcomes

    def go_on(self, tail: Tail, candidate: Candidate) -> tuple[Outcome, Tail]:
        """Record a sample that stands in the place of the earlier ``tail`` of its file; the tail by now."""
        sample, digest, _ = candidate
        identity = digest.identity
        if identity == tail.whole:
            return "duplicate", tail
        if isinstance(sample, Text) and tail.length:
            return self._go_on_text(tail, sample, candidate)
        row = self._samples.find(tail.stored)
        if row and row.state in ("new", "held_out") and not self._samples.covering(identity):
            try:
                if _continues(self._samples.read(row.location), sample):
                    self._samples.replace(row, sample, digest, row.state)
                    return "added", Tail(identity, 0, 0, identity)
            except DamagedSegmentError:
                pass  # then it is new
        return self._add(candidate), candidate.tail

    def _add(self, candidate: Candidate) -> Outcome:
        [outcome] = self.add_all([candidate])
        return outcome

    def _add_longer(self, sample: Sample, digest: Digest, found: FoundAt) -> Outcome:
        """Record a dialogue of which a beginning is known."""
        own_side = self._side(sample, digest)
        known = self._samples.longest_beginning(digest)
        if known is None or not isinstance(sample, Dialogue):
            self._samples.insert_all([Addition(sample, digest, own_side, found)])
            return "added"
        row, shorter, beginning = known
        turns = len(sample.messages) - shorter
        is_exactly_it = row.identity == beginning
        if row.state == "set_aside" and is_exactly_it:
            self._samples.replace(row, sample, digest, own_side)
        elif row.state == "set_aside":
            self._samples.insert_all([Addition(sample, digest, own_side, found)])
        elif is_exactly_it and row.state in ("new", "held_out"):
            self._samples.replace(row, sample, digest, row.state)
        elif any(message.is_supervised for message in sample.messages[turns:]):
            state: State = "held_out" if row.state == "held_out" else "new"
            self._samples.insert_all([Addition(sample, digest, state, found, learn_from=turns)])
        else:
            return "duplicate"
        return "added"

    def _go_on_text(self, tail: Tail, piece: Text, candidate: Candidate) -> tuple[Outcome, Tail]:
        """The last piece of a text that grew: only what was not there before is new."""
        identity = candidate.digest.identity
        if self._samples.covering(identity) or Text(piece.text[: tail.length]).identity != tail.whole:
            return self._add(candidate), candidate.tail
        row = self._samples.find(tail.stored)
        start = tail.start if row and row.state == "new" else tail.length
        rest = Text(piece.text[start:].strip())
        stored = digest_of(rest)
        outcome: Outcome = "added"
        if row and row.state == "new" and not self._samples.covering(stored.identity):
            self._samples.replace(row, rest, stored, self._side(rest, stored))
        else:
            outcome = self._add(Candidate(rest, stored, candidate.found))
        self._samples.cover(identity, by=stored.identity)
        return outcome, Tail(identity, len(piece.text), start, stored.identity)

    def _side(self, sample: Sample, digest: Digest, openings: Set[str] | None = None) -> State:
        """The state in which a sample begins; ``openings`` are those held out, where that was asked already."""
        if not objectives.is_learned(sample.kind):
            return "held"
        if is_group_held_out(digest.group, self._held_out_share):
            return "held_out"
        if openings is None:
            openings = self._samples.openings_held_out([digest.group])
        return "held_out" if digest.group in openings else "new"


def _identities(digest: Digest) -> tuple[str, ...]:
    return (digest.identity, *digest.beginnings)


def _continues(earlier: Sample, later: Sample) -> bool:
    """Whether ``later`` is ``earlier`` with more in its last turn, and perhaps more turns."""
    if not isinstance(earlier, Dialogue) or not isinstance(later, Dialogue):
        return False
    *same, last = earlier.messages
    if len(later.messages) < len(earlier.messages) or later.messages[: len(same)] != tuple(same):
        return False
    grown = later.messages[len(same)]
    return grown.role == last.role and grown.content.startswith(last.content)
