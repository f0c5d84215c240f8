"""A task, or a label, that is added late has rows to be measured on at once; no text is ever on both sides."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.workers.intake.ledger import held_out_of_tasks
from daemon.workers.intake.ledger.dedup import Dedup
from engine.config.tasks import TaskSettings, tasks_of
from engine.data.samples import Labelled, LabelledSpan

LEAST = 8
TASKS = tasks_of({"mood": TaskSettings(kind="classify", labels=("sad", "glad", "calm", "angry"))})
NER = "named_entity_recognition"


def mood(number: int, label: str) -> Labelled:
    return Labelled(f"day {number}", label, "mood")


def add(shelf, rows) -> None:
    with shelf.ledger.transaction():
        for row in rows:
            dedup = Dedup(shelf.ledger.samples, shelf.ledger.forgotten, 0.0, TASKS)
            dedup.add_all([shelf.candidate(row)])


def top_up(shelf) -> int:
    with shelf.ledger.transaction():
        return held_out_of_tasks.top_up_tasks(shelf.ledger, TASKS, LEAST)


def held_out(shelf) -> Counter[tuple[str, object]]:
    return Counter((row.task, row.label) for state, _, row in shelf.rows() if state == "held_out")


def test_a_task_that_is_added_when_much_is_learned_has_held_out_rows_at_once(shelf) -> None:
    add(shelf, [mood(number, "sad") for number in range(40)])
    shelf.assign(1)
    shelf.settle(1, learned=True)
    names = [Labelled(f"Ann {number}", None, NER, spans=(LabelledSpan(0, 3, "person"),)) for number in range(40)]
    add(shelf, names)
    assert top_up(shelf) == LEAST
    assert held_out(shelf) == {(NER, None): LEAST}
    assert top_up(shelf) == 0


def test_a_label_that_is_added_later_has_too(shelf) -> None:
    add(shelf, [mood(number, ("sad", "glad")[number % 2]) for number in range(80)])
    assert top_up(shelf) == LEAST
    assert held_out(shelf) == {("mood", "sad"): 4, ("mood", "glad"): 4}
    shelf.assign(1)
    shelf.settle(1, learned=True)
    add(shelf, [mood(number, "calm") for number in range(100, 140)])
    assert top_up(shelf) == 3
    assert held_out(shelf)["mood", "calm"] == 3


def test_a_text_that_was_learned_is_not_held_out_with_another_label(shelf) -> None:
    add(shelf, [mood(number, "sad") for number in range(20)])
    shelf.assign(1)
    shelf.settle(1, learned=True)
    add(shelf, [mood(number, "glad") for number in range(20)])
    assert top_up(shelf) == 0


def test_rows_that_came_before_their_task_are_taken_up(shelf) -> None:
    late = [Labelled(f"day {number}", "buy", "wish") for number in range(40)]
    add(shelf, [*late, Labelled("of no task", "x", ""), Labelled("other", "x", "other")])
    assert shelf.ledger.counts().held_out == shelf.ledger.counts().new == 0
    tasks = TASKS | tasks_of({"wish": TaskSettings(kind="classify", labels=("buy", "sell"))})
    with shelf.ledger.transaction():
        assert held_out_of_tasks.take_up(shelf.ledger, tasks, 0.5) == 40
    counts = shelf.ledger.counts()
    assert counts.new + counts.held_out == 40
    assert 10 < counts.held_out < 30
    with shelf.ledger.transaction():
        assert held_out_of_tasks.take_up(shelf.ledger, tasks, 0.5) == 0


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(TASKS["mood"].labels)), max_size=60))
def test_no_text_is_on_both_sides(new_shelf, rows: list[tuple[int, str]]) -> None:
    shelf = new_shelf()
    add(shelf, [mood(*row) for row in rows])
    top_up(shelf)
    sides: dict[str, set[str]] = {}
    for state, _, row in shelf.rows():
        sides.setdefault(row.group, set()).add(state)
    assert all(len(states) == 1 for states in sides.values())
    assert sum(held_out(shelf).values()) <= max(len(rows) // 2, 0)
    shelf.ledger.close()
