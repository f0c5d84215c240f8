"""What is new in something read: nothing, all of it, or what it has grown by since.

The rules, for a conversation that is not known in this form:

| an earlier form of it is | then |
| --- | --- |
| unknown | it is added, held out or new by its opening |
| new or held out, and exactly the earlier form | that row becomes the longer conversation |
| set aside, and exactly the earlier form | that row becomes the longer conversation, with new tries |
| in a cycle, learned, or part of another conversation | it is added, learned from the first unknown turn on |
| all of it but unanswered turns | nothing is added: what was said is taken together with its answer |

A longer conversation stays on the side of the held-out line where its earlier form was.
"""

from dataclasses import dataclass
from typing import Literal

from daemon.workers.intake.ledger import Ledger, Origin, State
from engine.data.held_out import is_held_out
from engine.data.samples import Conversation, Dialogue, Sample, Text
from engine.data.segments import DamagedSegmentError

Outcome = Literal["added", "duplicate"]


@dataclass(frozen=True, slots=True)
class Tail:
    """The last thing read of a file, which may go on when the file grows.

    Attributes:
        whole: identity of all of it as it was read.
        length: characters of its text (0: a dialogue).
        start: where in its text the part that was stored last begins.
        stored: identity of that part.
    """

    whole: str
    length: int
    start: int
    stored: str


def add(ledger: Ledger, conversation: Conversation, origin: Origin, held_out_share: float) -> Outcome:
    """Record what is new in ``conversation``, if anything is."""
    if ledger.covering(conversation.identity):
        return "duplicate"
    earlier = ledger.longest_beginning(conversation) if isinstance(conversation, Dialogue) else None
    if earlier is None or not isinstance(conversation, Dialogue):
        ledger.insert(conversation, _side(ledger, conversation, held_out_share), origin)
        return "added"
    row, turns, identity = earlier
    if row.identity == identity and row.state == "set_aside":
        ledger.replace(row, conversation, _side(ledger, conversation, held_out_share))
        return "added"
    if row.state == "set_aside":
        ledger.insert(conversation, _side(ledger, conversation, held_out_share), origin)
        return "added"
    if row.identity == identity and row.state in ("new", "held_out"):
        ledger.replace(row, conversation, row.state)
        return "added"
    if not any(message.is_supervised for message in conversation.messages[turns:]):
        return "duplicate"
    ledger.insert(conversation, "held_out" if row.state == "held_out" else "new", origin, learn_from=turns)
    return "added"


def go_on(
    ledger: Ledger, tail: Tail, conversation: Conversation, origin: Origin, held_out_share: float
) -> tuple[Outcome, Tail]:
    """As `add`, for what stands where ``tail`` stood before; and the tail from now on."""
    if conversation.identity == tail.whole:
        return "duplicate", tail
    if isinstance(conversation, Text) and tail.length:
        return _go_on_text(ledger, tail, conversation, origin, held_out_share)
    row = ledger.find(tail.stored)
    if row and row.state in ("new", "held_out") and not ledger.covering(conversation.identity):
        try:
            if _continues(ledger.read(row.location), conversation):
                ledger.replace(row, conversation, row.state)
                return "added", tail_of(conversation)
        except DamagedSegmentError:
            pass  # then it is new
    return add(ledger, conversation, origin, held_out_share), tail_of(conversation)


def tail_of(conversation: Conversation) -> Tail:
    """The tail of a file that ends with ``conversation``."""
    length = len(conversation.text) if isinstance(conversation, Text) else 0
    return Tail(conversation.identity, length, 0, conversation.identity)


def _go_on_text(ledger: Ledger, tail: Tail, piece: Text, origin: Origin, held_out_share: float) -> tuple[Outcome, Tail]:
    """The last piece of a text that grew: only what was not there before is new."""
    if ledger.covering(piece.identity) or Text(text=piece.text[: tail.length]).identity != tail.whole:
        return add(ledger, piece, origin, held_out_share), tail_of(piece)
    row = ledger.find(tail.stored)
    start = tail.start if row and row.state == "new" else tail.length
    rest = Text(text=piece.text[start:].strip())
    outcome: Outcome = "added"
    if row and row.state == "new" and not ledger.covering(rest.identity):
        ledger.replace(row, rest, _side(ledger, rest, held_out_share))
    else:
        outcome = add(ledger, rest, origin, held_out_share)
    ledger.cover(piece.identity, by=rest.identity)
    return outcome, Tail(piece.identity, len(piece.text), start, rest.identity)


def _continues(earlier: Sample, later: Conversation) -> bool:
    """Whether ``later`` is ``earlier`` with more in its last turn, and perhaps more turns."""
    if not (isinstance(earlier, Dialogue) and isinstance(later, Dialogue)):
        return False
    *same, last = earlier.messages
    if len(later.messages) < len(earlier.messages) or later.messages[: len(same)] != tuple(same):
        return False
    grown = later.messages[len(same)]
    return grown.role == last.role and grown.content.startswith(last.content)


def _side(ledger: Ledger, conversation: Conversation, held_out_share: float) -> State:
    held_out = is_held_out(conversation, held_out_share) or ledger.holds_out(conversation.group)
    return "held_out" if held_out else "new"
