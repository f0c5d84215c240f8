"""Every answer is learned by exactly one conversation, in whatever forms and order a dialogue is seen."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.workers.intake.ledger.dedup import Dedup, Tail, tail_of
from engine.data.samples import Conversation, Dialogue, Labelled, Text

SHARE = 0.3


def add(shelf, conversation):
    with shelf.ledger.transaction():
        return shelf.add(conversation, held_out_share=SHARE)


def answers(conversation: Conversation, learn_from: int = 0) -> list[str]:
    """Every answer that is supervised, told apart by all that was said up to it."""
    return [
        Dialogue(messages=conversation.messages[: turn + 1]).identity
        for turn, message in enumerate(conversation.messages)
        if message.role == "assistant" and turn >= learn_from
    ]


WORDS = st.lists(st.sampled_from("ab"), min_size=2, max_size=7)
STEPS = st.lists(st.tuples(WORDS, st.sampled_from(["", "", "assign", "learn", "return"])), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_every_answer_is_learned_once_and_never_both_trained_on_and_held_out(new_shelf, dialogue, steps):
    """Two words make a small world in which dialogues share beginnings, branch, grow and come back shorter."""
    shelf = new_shelf()
    seen: set[str] = set()
    cycle = 0
    open_cycle = None
    for words, event in steps:
        conversation = dialogue(*words)
        add(shelf, conversation)
        seen.update(answers(conversation))
        if event == "assign" and open_cycle is None:
            cycle += 1
            open_cycle = cycle if shelf.assign(cycle) else None
        elif event in ("learn", "return") and open_cycle is not None:
            shelf.settle(open_cycle, learned=event == "learn", count_try=False)
            open_cycle = None
    supervised = Counter(answer for _, learn_from, c in shelf.rows() for answer in answers(c, learn_from))
    assert supervised == Counter(seen)
    sides = {side: set() for side in ("held_out", "other")}
    for state, _, conversation in shelf.rows():
        sides["held_out" if state == "held_out" else "other"].update(answers(conversation))
    assert not sides["held_out"] & sides["other"]
    shelf.ledger.close()


@settings(max_examples=20, deadline=None)
@given(st.lists(WORDS, max_size=30), st.sets(WORDS.map(tuple), max_size=3))
def test_many_at_once_are_recorded_as_one_by_one(new_shelf, dialogue, read, learned):
    """Beginnings, copies and longer forms among them, and of what is in a cycle already."""
    rows = []
    for together in (1, 7, 100):
        shelf = new_shelf()
        for words in sorted(learned):
            add(shelf, dialogue(*words))
        shelf.assign(1)
        candidates = [shelf.candidate(dialogue(*words)) for words in read]
        with shelf.ledger.transaction():
            for start in range(0, len(candidates), together):
                Dedup(shelf.ledger.samples, shelf.ledger.forgotten, SHARE).add_all(candidates[start : start + together])
        rows.append((shelf.rows(), Counter(shelf.database.execute("SELECT state, kind, number FROM counts"))))
        shelf.ledger.close()
    assert rows[0] == rows[1] == rows[2]


def test_a_dialogue_that_grew_before_its_cycle_is_one_longer_dialogue(shelf, dialogue):
    add(shelf, dialogue("hello", "hi"))
    assert add(shelf, dialogue("hello", "hi", "how", "well")) == "added"
    assert [(learn_from, len(c.messages)) for _, learn_from, c in shelf.rows()] == [(0, 4)]
    assert add(shelf, dialogue("hello", "hi")) == "duplicate"


def test_a_dialogue_that_grew_after_its_cycle_is_learned_from_where_it_ended(shelf, dialogue):
    add(shelf, dialogue("good day", "hi"))
    assert shelf.assign(1) == 1
    shelf.settle(1, learned=True)
    assert add(shelf, dialogue("good day", "hi", "how")) == "duplicate"
    assert add(shelf, dialogue("good day", "hi", "how", "well")) == "added"
    assert [(state, learn_from) for state, learn_from, _ in shelf.rows()] == [("learned", 0), ("new", 2)]


def grow(shelf, tail, conversation):
    with shelf.ledger.transaction():
        return Dedup(shelf.ledger.samples, shelf.ledger.forgotten, 0.0).go_on(tail, shelf.candidate(conversation))


def test_an_answer_that_was_half_written_becomes_the_whole_answer(shelf, dialogue):
    add(shelf, dialogue("tell", "once upon"))
    short = dialogue("tell", "once upon").identity
    outcome, _ = grow(shelf, Tail(short, 0, 0, short), dialogue("tell", "once upon a time", "and?"))
    assert outcome == "added"
    assert [[m.content for m in c.messages] for _, _, c in shelf.rows()] == [["tell", "once upon a time", "and?"]]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.sampled_from(["", "learn", "return"])), min_size=1, max_size=8),
)
def test_a_text_that_grows_is_stored_once(new_shelf, steps):
    """However it is cut by time, all of it is stored, nothing twice, and a copy of the whole adds nothing."""
    shelf = new_shelf()
    text = " ".join(f"w{n}" for n in range(600))
    tail, end, cycle = None, 0, 0
    for words, event in steps:
        end += words
        piece = Text(text=" ".join(text.split()[:end]))
        if tail is None:
            add(shelf, piece)
            tail = tail_of(shelf.candidate(piece))
        else:
            _, tail = grow(shelf, tail, piece)
        if event:
            cycle += 1
            if shelf.assign(cycle):
                shelf.settle(cycle, learned=event == "learn", count_try=False)
    stored = [c.text for _, _, c in shelf.rows()]
    assert " ".join(stored).split() == text.split()[:end]
    assert add(shelf, Text(text=" ".join(text.split()[:end]))) == "duplicate"
    shelf.ledger.close()


def test_a_labelled_sample_is_learned_where_there_is_its_task_and_held_elsewhere(new_shelf) -> None:
    shelf = new_shelf()
    read = [shelf.candidate(Labelled("Oh!", "glad", task)) for task in ("mood", "other", "")]
    with shelf.ledger.transaction():
        found = Dedup(shelf.ledger.samples, shelf.ledger.forgotten, 0.0, {"mood"}).add_all(read)
    assert found == {"added": 1, "held": 2}
    assert [state for state, _, _ in shelf.rows()] == ["new", "held", "held"]
    shelf.ledger.close()
