"""What is new in something read: nothing, all of it, or what it has grown by since.

The rules, for a dialogue that is not known in this form:

| an earlier form of it is | then |
| --- | --- |
| unknown | it is added, held out or new by its opening |
| new or held out, and exactly the earlier form | that row becomes the longer dialogue |
| set aside, and exactly the earlier form | that row becomes the longer dialogue, with new tries |
| in a cycle, learned, or part of another dialogue | it is added, learned from the first unknown turn on |
| all of it but unanswered turns | nothing is added: what was said is taken together with its answer |

A longer dialogue stays on the side of the held-out line where its earlier form was. Preferences and labelled samples do
not grow: one that is not known yet is added as held.
"""

from dataclasses import dataclass
from typing import Literal

from daemon.workers.intake.ledger.samples import FoundAt, Samples, State
from engine import objectives
from engine.data.held_out import is_held_out
from engine.data.samples import Dialogue, Labelled, Preference, Sample, Text
from engine.data.segments import DamagedSegmentError

Outcome = Literal["added", "duplicate", "held"]


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

    def __init__(self, samples: Samples, held_out_share: float) -> None:
        self._samples = samples
        self._held_out_share = held_out_share

    def add(self, sample: Sample, found: FoundAt) -> tuple[Outcome, Tail]:
        """Record what is new in a sample, if anything is; and the tail of a file that ends with it."""
        identity = sample.identity
        length = len(sample.text) if isinstance(sample, Text) else 0
        return self._add(sample, identity, found), Tail(identity, length, 0, identity)

    def go_on(self, tail: Tail, sample: Sample, found: FoundAt) -> tuple[Outcome, Tail]:
        """Record a sample as `add` does, where it stands in the place of the earlier ``tail`` of its file."""
        identity = sample.identity
        if identity == tail.whole:
            return "duplicate", tail
        if isinstance(sample, Text) and tail.length:
            return self._go_on_text(tail, sample, identity, found)
        row = self._samples.find(tail.stored)
        if row and row.state in ("new", "held_out") and not self._samples.covering(identity):
            try:
                if _continues(self._samples.read(row.location), sample):
                    self._samples.replace(row, sample, identity, row.state)
                    return "added", Tail(identity, 0, 0, identity)
            except DamagedSegmentError:
                pass  # then it is new
        return self.add(sample, found)

    def _add(self, sample: Sample, identity: str, found: FoundAt) -> Outcome:
        if self._samples.covering(identity):
            return "duplicate"
        match sample:
            case Text() | Preference() | Labelled():
                if not objectives.is_learned(sample.kind):
                    self._samples.insert(sample, identity, "held", found)
                    return "held"
                self._samples.insert(sample, identity, self._side(sample), found)
                return "added"
            case Dialogue():
                return self._add_dialogue(sample, identity, found)

    def _add_dialogue(self, dialogue: Dialogue, identity: str, found: FoundAt) -> Outcome:
        known = self._samples.longest_beginning(dialogue)
        if known is None:
            self._samples.insert(dialogue, identity, self._side(dialogue), found)
            return "added"
        row, turns, beginning = known
        is_exactly_it = row.identity == beginning
        if row.state == "set_aside" and is_exactly_it:
            self._samples.replace(row, dialogue, identity, self._side(dialogue))
        elif row.state == "set_aside":
            self._samples.insert(dialogue, identity, self._side(dialogue), found)
        elif is_exactly_it and row.state in ("new", "held_out"):
            self._samples.replace(row, dialogue, identity, row.state)
        elif any(message.is_supervised for message in dialogue.messages[turns:]):
            state: State = "held_out" if row.state == "held_out" else "new"
            self._samples.insert(dialogue, identity, state, found, learn_from=turns)
        else:
            return "duplicate"
        return "added"

    def _go_on_text(self, tail: Tail, piece: Text, identity: str, found: FoundAt) -> tuple[Outcome, Tail]:
        """The last piece of a text that grew: only what was not there before is new."""
        if self._samples.covering(identity) or Text(piece.text[: tail.length]).identity != tail.whole:
            return self.add(piece, found)
        row = self._samples.find(tail.stored)
        start = tail.start if row and row.state == "new" else tail.length
        rest = Text(piece.text[start:].strip())
        stored = rest.identity
        outcome: Outcome = "added"
        if row and row.state == "new" and not self._samples.covering(stored):
            self._samples.replace(row, rest, stored, self._side(rest))
        else:
            outcome = self._add(rest, stored, found)
        self._samples.cover(identity, by=stored)
        return outcome, Tail(identity, len(piece.text), start, stored)

    def _side(self, sample: Sample) -> State:
        held_out = is_held_out(sample, self._held_out_share) or self._samples.holds_out(sample.group)
        return "held_out" if held_out else "new"


def _continues(earlier: Sample, later: Sample) -> bool:
    """Whether ``later`` is ``earlier`` with more in its last turn, and perhaps more turns."""
    if not isinstance(earlier, Dialogue) or not isinstance(later, Dialogue):
        return False
    *same, last = earlier.messages
    if len(later.messages) < len(earlier.messages) or later.messages[: len(same)] != tuple(same):
        return False
    grown = later.messages[len(same)]
    return grown.role == last.role and grown.content.startswith(last.content)
