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
not grow. A preference that is not known yet is added as held, and so is a labelled sample of no task.
"""

from collections import Counter
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from daemon.workers.forgotten import Forgotten
from daemon.workers.intake.ledger.candidate import Candidate, candidate_of
from daemon.workers.intake.ledger.samples import Addition, Samples, State
from engine import objectives
from engine.data.held_out import is_group_held_out
from engine.data.samples import Dialogue, Labelled, Sample, Text
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


class Dedup:
    """The rules, over the table of samples. Every call belongs inside a transaction."""

    def __init__(
        self, samples: Samples, forgotten: Forgotten, held_out_share: float, tasks: Collection[str] = ()
    ) -> None:
        """Labelled samples of other ``tasks`` than these are held."""
        self._samples = samples
        self._forgotten = forgotten
        self._held_out_share = held_out_share
        self._tasks = tasks

    def add_all(self, candidates: Sequence[Candidate]) -> Counter[Outcome]:
        """Record what is new in some hundred samples, in their order; how many had each outcome.

        What is known, and held out, is asked for all of them at once, and those of which nothing is known are recorded
        together. Where one is the beginning of another, in the ledger or here, they are taken one by one.
        """
        identities = [each.identity for each in candidates]
        beginnings = [each.beginnings for each in candidates]
        covered = self._samples.covered([*identities, *chain(*beginnings)])
        openings = self._samples.openings_held_out([each.group for each in candidates])
        forgotten = self._forgotten.among(identities, beginnings)
        outcomes = Counter[Outcome]()
        additions: list[Addition] = []
        for candidate, identity, shorter in zip(candidates, identities, beginnings, strict=True):
            if identity in covered:
                outcomes["duplicate"] += 1
                continue
            if identity in forgotten:
                outcomes["forgotten"] += 1
                continue
            if not covered.isdisjoint(shorter):
                self._samples.insert_all(additions)
                additions = []
                outcomes[self._add_longer(candidate)] += 1
            else:
                state = self._side(candidate, openings)
                additions.append(Addition(candidate, state))
                outcomes["held" if state == "held" else "added"] += 1
            covered.add(identity)
            covered.update(shorter)
        self._samples.insert_all(additions)
        return outcomes

    def go_on(self, tail: Tail, candidate: Candidate) -> tuple[Outcome, Tail]:
        """Record a sample that stands in the place of the earlier ``tail`` of its file; the tail by now."""
        identity = candidate.identity
        if identity == tail.whole:
            return "duplicate", tail
        sample = candidate.sample
        if isinstance(sample, Text) and tail.length:
            return self._go_on_text(tail, sample, candidate)
        row = self._samples.find(tail.stored)
        if row and row.state in ("new", "held_out") and not self._samples.covering(identity):
            try:
                if _continues(self._samples.read(row.location), sample):
                    self._samples.replace(row, candidate, row.state)
                    return "added", Tail(identity, 0, 0, identity)
            except DamagedSegmentError:
                pass  # then it is new
        return self._add(candidate), tail_of(candidate)

    def _add(self, candidate: Candidate) -> Outcome:
        [outcome] = self.add_all([candidate])
        return outcome

    def _add_longer(self, candidate: Candidate) -> Outcome:
        """Record a dialogue of which a beginning is known."""
        own_side = self._side(candidate)
        known = self._samples.longest_beginning(candidate.beginnings)
        sample = candidate.sample
        if known is None or not isinstance(sample, Dialogue):
            self._samples.insert_all([Addition(candidate, own_side)])
            return "added"
        row, shorter, beginning = known
        turns = candidate.turns - shorter
        is_exactly_it = row.identity == beginning
        if row.state == "set_aside" and is_exactly_it:
            self._samples.replace(row, candidate, own_side)
        elif row.state == "set_aside":
            self._samples.insert_all([Addition(candidate, own_side)])
        elif is_exactly_it and row.state in ("new", "held_out"):
            self._samples.replace(row, candidate, row.state)
        elif any(message.is_supervised for message in sample.messages[turns:]):
            state: State = "held_out" if row.state == "held_out" else "new"
            self._samples.insert_all([Addition(candidate, state, learn_from=turns)])
        else:
            return "duplicate"
        return "added"

    def _go_on_text(self, tail: Tail, piece: Text, candidate: Candidate) -> tuple[Outcome, Tail]:
        """The last piece of a text that grew: only what was not there before is new."""
        identity = candidate.identity
        if self._samples.covering(identity) or Text(piece.text[: tail.length]).identity != tail.whole:
            return self._add(candidate), tail_of(candidate)
        row = self._samples.find(tail.stored)
        start = tail.start if row and row.state == "new" else tail.length
        rest = Text(piece.text[start:].strip())
        stored = candidate_of(rest, candidate.source, candidate.line)
        outcome: Outcome = "added"
        if row and row.state == "new" and not self._samples.covering(stored.identity):
            self._samples.replace(row, stored, self._side(stored))
        else:
            outcome = self._add(stored)
        self._samples.cover(identity, by=stored.identity)
        return outcome, Tail(identity, len(piece.text), start, stored.identity)

    def _side(self, candidate: Candidate, openings: Set[str] | None = None) -> State:
        """The state in which a sample begins; ``openings`` are those held out, where that was asked already."""
        group = candidate.group
        if not objectives.is_learned(candidate.kind) or self._is_of_no_task(candidate):
            return "held"
        if is_group_held_out(group, self._held_out_share):
            return "held_out"
        if openings is None:
            openings = self._samples.openings_held_out([group])
        return "held_out" if group in openings else "new"

    def _is_of_no_task(self, candidate: Candidate) -> bool:
        sample = candidate.sample if candidate.kind == "labelled" else None
        return isinstance(sample, Labelled) and sample.task not in self._tasks


def tail_of(candidate: Candidate) -> Tail:
    """The tail of a file that ends with this sample."""
    identity = candidate.identity
    sample = candidate.sample if candidate.kind == "text" else None
    return Tail(identity, len(sample.text) if isinstance(sample, Text) else 0, 0, identity)


def _continues(earlier: Sample, later: Sample) -> bool:
    """Whether ``later`` is ``earlier`` with more in its last turn, and perhaps more turns."""
    if not isinstance(earlier, Dialogue) or not isinstance(later, Dialogue):
        return False
    *same, last = earlier.messages
    if len(later.messages) < len(earlier.messages) or later.messages[: len(same)] != tuple(same):
        return False
    grown = later.messages[len(same)]
    return grown.role == last.role and grown.content.startswith(last.content)
