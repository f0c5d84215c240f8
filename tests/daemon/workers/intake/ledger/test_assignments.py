"""Giving conversations to cycles and settling them, any number of times."""

import sqlite3
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daemon.supervisor.intake.set_aside import set_aside
from daemon.workers.intake.ledger.assignments import Quota
from daemon.workers.intake.ledger.database import LedgerError, StorageError, open_database
from engine.data.held_out import is_sealed
from engine.data.samples import Text


@pytest.fixture(autouse=True, scope="module")
def _machine_gets_shelves(new_shelf):
    Ledger.new_shelf = staticmethod(new_shelf)


class Ledger(RuleBasedStateMachine):
    """Any order of additions, cycles and repeated commands."""

    @initialize()
    def open(self):
        self.shelf = self.new_shelf()
        self.added = 0
        self.outcomes: dict[int, bool] = {}
        self.learned_in = Counter()

    @rule(number=st.integers(1, 6))
    def add(self, number):
        with self.shelf.ledger.transaction():
            for n in range(self.added, self.added + number):
                self.shelf.add(Text(text=f"text {n}"), held_out_share=0.2)
        self.added += number

    @rule(cycle=st.integers(1, 5), limit=st.integers(1, 5))
    def assign(self, cycle, limit):
        if not self.shelf.cycles.is_assigned(cycle):
            before = self.states()["new"]
            assert self.shelf.assign(cycle, limit, replay=0.5, validation=0.2) == min(limit, before)

    @rule(cycle=st.integers(1, 5), learned=st.booleans(), count_try=st.booleans())
    def settle(self, cycle, learned, count_try):
        before = self.rows()
        self.shelf.settle(cycle, learned, count_try, max_tries=2)
        if not self.shelf.cycles.is_assigned(cycle) or cycle in self.outcomes:
            assert self.rows() == before
        elif learned:
            mine = {identity for identity, (state, of) in before.items() if (state, of) == ("assigned", cycle)}
            after = self.rows()
            validated = {identity for identity in mine if after[identity] == ("new", None)}
            assert len(validated) == sum(choice.validates for choice in self.shelf.chosen(cycle))
            self.learned_in.update(mine - validated)
        if self.shelf.cycles.is_assigned(cycle):
            self.outcomes.setdefault(cycle, learned)

    def rows(self):
        query = "SELECT identity, state, cycle FROM samples"
        return {identity: (state, cycle) for identity, state, cycle in self.shelf.database.execute(query)}

    def states(self):
        return Counter(state for state, _ in self.rows().values())

    @invariant()
    def nothing_is_lost_or_learned_twice(self):
        states = self.states()
        assert states.total() == self.added
        assert all(times == 1 for times in self.learned_in.values())
        counts = self.shelf.ledger.counts().model_dump(exclude={"kind", "quarantined", "by_kind"})
        assert counts == {state: states[state] for state in counts}

    @invariant()
    def no_cycle_trains_on_what_is_held_out(self):
        crossing = self.shelf.database.execute(
            "SELECT count(*) FROM examples JOIN samples ON samples.id = sample"
            " WHERE (origin = 'held_out') <> (state = 'held_out')"
        )
        assert crossing.fetchone() == (0,)

    def teardown(self):
        if hasattr(self, "shelf"):
            self.shelf.ledger.close()


TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


def fill(shelf, number, share=0.0):
    with shelf.ledger.transaction():
        for n in range(number):
            shelf.add(Text(text=f"text {n}"), held_out_share=share)


def test_the_oldest_come_first_and_the_limit_holds(shelf):
    fill(shelf, 20)
    assert shelf.assign(1, limit=8) == 8
    texts = [example.sample.text for example in shelf.chosen(1)]
    assert texts == [f"text {n}" for n in range(8)]


def test_what_gates_read_moves_with_the_epoch_and_the_sealed_stay(shelf):
    fill(shelf, 400, share=1.0)
    with shelf.ledger.transaction():
        for number in range(3):
            shelf.add(Text(text=f"to learn {number}"))

    def held_out(cycle, epoch, most=60):
        with shelf.ledger.transaction():
            shelf.cycles.assign(cycle, Quota(1, 1, 0.0, "uniform", most, 0.0, epoch))
        chosen = [example.identity for example in shelf.chosen(cycle, held_out=True)]
        assert len(set(chosen)) == len(chosen)
        return {one for one in chosen if not is_sealed(one)}, {one for one in chosen if is_sealed(one)}

    first, sealed = held_out(1, 0)
    second, same = held_out(2, 1)
    assert (len(first), len(second), len(sealed)) == (60, 60, 60)
    assert not first & second
    assert same == sealed
    everything, all_sealed = held_out(3, 5, most=1000)
    assert len(everything) + len(all_sealed) == 400


def test_too_few_stay_new(shelf):
    fill(shelf, 4)
    assert shelf.assign(1, minimum=5) == 4
    assert not shelf.cycles.is_assigned(1)
    assert shelf.ledger.counts().new == 4


def test_without_a_limit_a_cycle_takes_all_that_waits(shelf):
    fill(shelf, 2500)
    assert shelf.assign(1, limit=None) == 2500
    assert [example.sample.text for example in shelf.chosen(1)] == [f"text {n}" for n in range(2500)]
    assert shelf.ledger.counts().new == 0


def test_what_validates_is_drawn_anew_and_learned_with_the_next_cycle(shelf):
    fill(shelf, 100)
    shelf.assign(1, limit=None, validation=0.1)
    first = {choice.identity for choice in shelf.chosen(1) if choice.validates}
    shelf.settle(1, learned=True)
    assert (len(first), shelf.ledger.counts().learned, shelf.ledger.counts().new) == (10, 90, 10)
    fill(shelf, 150)  # 50 of them new
    shelf.assign(2, limit=None, validation=0.1)
    second = {choice.identity for choice in shelf.chosen(2) if choice.validates}
    assert len(second) == 10
    assert not first & second
    shelf.settle(2, learned=True)
    shelf.assign(3, limit=None, validation=0.1)
    assert [choice.validates for choice in shelf.chosen(3)] == [False] * 10
    shelf.settle(3, learned=True)
    assert shelf.ledger.counts().learned == 150


def test_what_was_set_aside_says_why_and_can_be_taken_up_again(shelf, tmp_path):
    fill(shelf, 3)
    other = shelf.new_place("other")
    with shelf.ledger.transaction():
        shelf.add(Text(text="elsewhere"), other)
    shelf.assign(1)
    with shelf.ledger.transaction():
        shelf.cycles.settle(1, 1, learned=False, count_try=True, why="worse: by a lot")
    ledger = tmp_path / "conversations.db"
    assert [(entry["source"], entry["conversations"]) for entry in set_aside(ledger)] == [
        (str(tmp_path / "file"), 3),
        (str(tmp_path / "other"), 1),
    ]
    assert all("worse: by a lot" in entry["reason"] for entry in set_aside(ledger))
    with shelf.ledger.transaction():
        assert shelf.cycles.retake("nowhere") == 0
        assert shelf.cycles.retake("other") == 1
    assert (shelf.ledger.counts().new, shelf.ledger.counts().set_aside) == (1, 3)
    with shelf.ledger.transaction():
        assert shelf.cycles.retake(None) == 3
    assert set_aside(ledger) == []
    shelf.assign(2)
    shelf.settle(2, learned=False, max_tries=2)
    assert shelf.ledger.counts().new == 4, "its tries begin anew"


def test_what_grew_while_it_was_set_aside_is_learned_once(shelf, dialogue):
    short, long = dialogue("a", "b"), dialogue("a", "b", "c", "d")
    with shelf.ledger.transaction():
        shelf.add(short)
    shelf.assign(1)
    shelf.settle(1, learned=False, max_tries=1)
    with shelf.ledger.transaction():
        assert shelf.add(long) == "added"
        assert shelf.cycles.retake(None) == 0
    assert [(state, text) for state, _, text in shelf.rows()] == [("new", long)]


def test_tries_are_counted_until_a_conversation_is_set_aside(shelf):
    fill(shelf, 2)
    for cycle, count_try, left in [(1, True, 2), (2, False, 2), (3, True, 2), (4, True, 0)]:
        shelf.assign(cycle)
        shelf.settle(cycle, learned=False, count_try=count_try)
        assert shelf.ledger.counts().new == left
    assert shelf.ledger.counts().set_aside == 2


def test_replay_is_a_share_of_what_is_trained_on_and_spread_over_all_that_was_learned(shelf):
    fill(shelf, 500)
    shelf.assign(1, limit=400)
    shelf.settle(1, learned=True)
    drawn = Counter()
    for cycle in range(2, 42):
        shelf.assign(cycle, limit=60, replay=0.25, strategy="uniform")
        choices = [c for c in shelf.chosen(cycle) if c.origin == "replay"]
        assert len(choices) == 20 == len({c.sample.text for c in choices})
        drawn.update(int(c.sample.text.split()[1]) for c in choices)
        shelf.settle(cycle, learned=False, count_try=False)
    assert max(drawn) < 400
    assert len(drawn) > 200  # 800 draws among 400, in proportion to the gaps between random points: about 270
    assert max(drawn[n] for n in range(200)) < 30


@pytest.fixture
def lopsided(shelf):
    """Three cycles of a corpus and of two small files of chats, with cycles between them that learned nothing."""
    files = [shelf.new_place(name) for name in ("corpus", "chats", "letters")]
    texts = iter(range(10_000))
    for cycle, (of_corpus, of_chats, of_letters) in {1: (200, 0, 0), 40: (180, 10, 10), 41: (0, 5, 5)}.items():
        with shelf.ledger.transaction():
            for origin, number in zip(files, (of_corpus, of_chats, of_letters), strict=True):
                for _ in range(number):
                    shelf.add(Text(text=f"old text {next(texts)}"), origin)
        shelf.assign(cycle, limit=1000)
        shelf.settle(cycle, learned=True)
    fill(shelf, 40)
    return shelf


def shares(shelf, strategy):
    """How often each pair of cycle and file was replayed, as a share of all."""
    drawn = Counter()
    for cycle in range(50, 150):
        shelf.assign(cycle, limit=40, replay=0.2, strategy=strategy)
        drawn.update(
            shelf.database.execute(
                "SELECT samples.cycle, path FROM examples JOIN samples ON samples.id = sample"
                " JOIN sources ON sources.id = source WHERE origin = 'replay' AND examples.cycle = ?",
                (cycle,),
            )
        )
        shelf.settle(cycle, learned=False, count_try=False)
    assert drawn.total() == 1000
    return {(cycle, path.rsplit(b"/")[-1].decode()): number / 1000 for (cycle, path), number in drawn.items()}


def test_stratified_replay_takes_cycles_alike_and_files_of_a_cycle_alike(lopsided):
    third, ninth = pytest.approx(1 / 3, abs=0.05), pytest.approx(1 / 9, abs=0.05)
    sixth = pytest.approx(1 / 6, abs=0.05)
    assert shares(lopsided, "stratified") == {
        (1, "corpus"): third,
        (40, "corpus"): ninth, (40, "chats"): ninth, (40, "letters"): ninth,
        (41, "chats"): sixth, (41, "letters"): sixth,
    }  # fmt: skip


def test_uniform_replay_takes_conversations_alike(lopsided):
    found = shares(lopsided, "uniform")
    assert found[1, "corpus"] + found[40, "corpus"] == pytest.approx(380 / 410, abs=0.05)


@pytest.mark.parametrize("strategy", ["stratified", "uniform"])
def test_replay_of_nearly_all_that_was_learned_is_complete_and_without_doubles(lopsided, strategy):
    lopsided.assign(50, limit=40, replay=400 / 440, strategy=strategy)
    chosen = [choice.identity for choice in lopsided.chosen(50) if choice.origin == "replay"]
    assert len(chosen) == len(set(chosen)) == 400


def test_a_cycle_costs_the_same_with_a_long_past(shelf):
    """Every statement of a cycle works through an index: no row of the past is looked at."""
    fill(shelf, 50)
    plans: list[str] = []
    database = shelf.database
    seen: list[str] = []
    database.set_trace_callback(seen.append)
    shelf.assign(1, limit=5, replay=0.3)
    shelf.settle(1, learned=True)
    for cycle, strategy in ((2, "stratified"), (3, "uniform")):
        shelf.assign(cycle, limit=5, replay=0.3, strategy=strategy)
        shelf.settle(cycle, learned=False)
    shelf.ledger.counts()
    database.set_trace_callback(None)
    for statement in {s for s in seen if s.startswith(("SELECT", "UPDATE samples", "DELETE"))}:
        plans += [f"{row[3]}: {statement}" for row in database.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN") and "SCAN counts" not in plan and "INDEX" not in plan]


def test_a_damaged_ledger_is_refused_with_the_remedy(shelf, tmp_path):
    fill(shelf, 200)
    shelf.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file = tmp_path / "conversations.db"
    content = bytearray(file.read_bytes())
    content[8192:20480] = b"\xa5" * 12288
    other = tmp_path / "damaged.db"
    other.write_bytes(content)
    with pytest.raises(LedgerError, match=r"is damaged.*backups"):
        open_database(other)


def test_a_ledger_of_a_newer_thord_is_refused(tmp_path):
    database = sqlite3.connect(tmp_path / "new.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(LedgerError, match="newer thord"):
        open_database(tmp_path / "new.db")


def test_a_ledger_that_cannot_be_opened_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="missing"):
        open_database(tmp_path / "missing" / "conversations.db")
