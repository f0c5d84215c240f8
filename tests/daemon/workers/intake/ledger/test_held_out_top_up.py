"""Few conversations: enough are held out for a gate to decide on, and no opening is ever on both sides."""

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.workers.intake.ledger import held_out_top_up
from engine.data.samples import Conversation, Dialogue, Message

LEAST = 5


def dialogue(opening: int, answer: int = 0) -> Conversation:
    return Dialogue(messages=(Message("user", f"question {opening}"), Message("assistant", f"answer {answer}")))


def add(shelf, conversations) -> None:
    with shelf.ledger.transaction():
        for one in conversations:
            shelf.add(one, held_out_share=0.1)


def top_up(shelf) -> int:
    with shelf.ledger.transaction():
        return held_out_top_up.top_up(shelf.ledger, LEAST)


def openings(shelf, state: str) -> set[str]:
    return {conversation.group for kept, _, conversation in shelf.rows() if kept == state}


def test_of_thirty_conversations_enough_are_held_out_and_the_next_ones_like_them_too(shelf) -> None:
    add(shelf, map(dialogue, range(30)))
    top_up(shelf)
    assert shelf.ledger.counts().held_out == LEAST
    assert top_up(shelf) == 0
    held = openings(shelf, "held_out")
    add(shelf, [dialogue(number, answer=1) for number in range(30)])
    assert openings(shelf, "held_out") == held
    assert held.isdisjoint(openings(shelf, "new"))


def test_what_is_learned_already_is_never_held_out_afterwards(shelf) -> None:
    add(shelf, map(dialogue, range(12)))
    shelf.assign(1)
    shelf.settle(1, learned=True)
    add(shelf, map(dialogue, range(12, 30)))
    before = shelf.ledger.counts().held_out
    assert top_up(shelf) == 0
    assert shelf.ledger.counts().held_out == before


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 6), max_size=20))
def test_at_most_a_quarter_is_moved_and_openings_stay_together(new_shelf, sizes: list[int]) -> None:
    shelf = new_shelf()
    add(shelf, [dialogue(opening, answer) for opening, size in enumerate(sizes) for answer in range(size)])
    new = shelf.ledger.counts().new
    assert top_up(shelf) <= new // 4
    assert openings(shelf, "held_out").isdisjoint(openings(shelf, "new"))
    shelf.ledger.close()
