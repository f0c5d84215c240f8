"""A ledger in a folder of its own, and conversations made short."""

import contextlib
import itertools
import sqlite3
from pathlib import Path

import pytest

from daemon.messages import Collect, Collected, Scan, Scanned, Settle, Settled
from daemon.settings.data import ReplayStrategy
from daemon.settings.sections import Tables
from daemon.workers.intake.folders import Signature
from daemon.workers.intake.ledger.assignments import Quota
from daemon.workers.intake.ledger.candidate import Candidate, candidate_of
from daemon.workers.intake.ledger.database import open_database
from daemon.workers.intake.ledger.dedup import Dedup, Outcome
from daemon.workers.intake.ledger.ledger import Ledger
from engine.data import snapshot
from engine.data.held_out import is_held_out
from engine.data.samples import Conversation, Dialogue, Message, Sample
from engine.data.segments import Segments
from engine.data.snapshot import Example


def made_dialogue(*words: str) -> Conversation:
    """User and assistant in turn."""
    roles = ("user", "assistant")
    return Dialogue(messages=tuple(Message(roles[turn % 2], word) for turn, word in enumerate(words)))


@pytest.fixture(scope="session")
def dialogue():
    return made_dialogue


class Shelf:
    """A real ledger on disk."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.database = open_database(folder / "conversations.db")
        self.database.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug in these tests
        self.ledger = Ledger(self.database, Segments(folder / "segments"), folder / "quarantine")
        self.cycles = self.ledger.assignments
        self.place = self.new_place("file")

    def new_place(self, name: str) -> tuple[int, int]:
        """The first line of a file: the file's number, and the line's."""
        with self.ledger.transaction():
            return self.ledger.sources.begin(self.folder / name, Signature(0, 0, 0, 0)), 1

    def add(self, sample: Sample, place: tuple[int, int] | None = None, held_out_share: float = 0.0) -> Outcome:
        """Record what is new in a sample, inside a transaction."""
        dedup = Dedup(self.ledger.samples, self.ledger.forgotten, held_out_share)
        [outcome] = dedup.add_all([self.candidate(sample, place)])
        return outcome

    def candidate(self, sample: Sample, place: tuple[int, int] | None = None) -> Candidate:
        """A sample as if it was read from a file."""
        return candidate_of(sample, *(place or self.place))

    def rows(self) -> list[tuple]:
        """State, learn_from and text of every conversation."""
        query = "SELECT state, learn_from, identity FROM samples ORDER BY id"
        return [
            (state, learn_from, self.ledger.samples.read(self.ledger.samples.find(identity.hex()).location))
            for state, learn_from, identity in self.database.execute(query)
        ]

    def assign(
        self,
        cycle: int,
        limit: int | None = 100,
        minimum: int = 1,
        replay: float = 0.0,
        strategy: ReplayStrategy = "stratified",
        held_out: int = 100,
        validation: float = 0.0,
    ) -> int:
        with self.ledger.transaction():
            return self.cycles.assign(cycle, Quota(limit, minimum, replay, strategy, held_out, validation))

    def chosen(self, cycle: int, held_out: bool = False) -> list[Example]:
        """What a cycle learns from, or is judged on."""
        return list(self.cycles.examples(cycle, held_out=held_out, damaged=lambda number, reason: None))

    def settle(self, cycle: int, learned: bool, count_try: bool = True, max_tries: int = 3) -> None:
        with self.ledger.transaction():
            self.cycles.settle(cycle, max_tries, learned=learned, count_try=count_try)


@pytest.fixture
def shelf(tmp_path):
    made = Shelf(tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture(scope="session")
def new_shelf(tmp_path_factory):
    """For tests that need a fresh one for every example."""
    return lambda: Shelf(tmp_path_factory.mktemp("shelf"))


QUICK = Tables.model_validate(
    {"data": {"settle_seconds": 0.2, "max_record_megabytes": 1}, "supervision": {"heartbeat_timeout_seconds": 300}}
)


class RunningIntake:
    """The real worker, its inbox, and a look into its ledger from outside."""

    def __init__(self, spawn_worker, home, settings=QUICK) -> None:
        self.home, self.settings, self._spawn = home, settings, spawn_worker
        self.inbox = home / "inbox"
        self._ids = itertools.count(1)
        self.start()

    def start(self) -> None:
        self.worker = self._spawn("intake", self.home, self.settings)

    def scan(self, retry_quarantine: bool = False, files: tuple[str, ...] = ()) -> Scanned:
        command = Scan(id=next(self._ids), retry_quarantine=retry_quarantine, files=files)
        return self.worker.ask(command, Scanned)

    def collect(self, cycle: int, limit: int = 100, minimum: int = 1) -> Collected:
        return self.worker.ask(Collect(cycle=cycle, limit=limit, minimum=minimum), Collected)

    def settle(self, cycle: int, learned: bool, count_try: bool = True) -> None:
        self.worker.ask(Settle(cycle=cycle, learned=learned, count_try=count_try), Settled)

    def query(self, statement: str) -> list[tuple]:
        with contextlib.closing(sqlite3.connect(f"file:{self.home}/conversations.db?mode=ro", uri=True)) as database:
            return database.execute(statement).fetchall()

    def counts(self) -> dict[str, int]:
        return {
            state: number
            for state, number in self.query("SELECT state, sum(number) FROM counts GROUP BY state")
            if number
        }

    def refusals(self) -> dict[str, str]:
        """Reason by file name."""
        return {Path(file).name: reason for file, reason in self.query("SELECT file, reason FROM refusals ORDER BY id")}

    def snapshot(self, cycle: int) -> tuple[list[Example], list[Example]]:
        folder = self.home / "snapshots" / f"{cycle:06d}"
        return list(snapshot.train_examples(folder)), list(snapshot.held_out_examples(folder))


@pytest.fixture
def intake(spawn_worker, tmp_path):
    return RunningIntake(spawn_worker, tmp_path)


@pytest.fixture
def intake_with(spawn_worker, tmp_path):
    """An intake with settings of one's own."""
    return lambda settings: RunningIntake(spawn_worker, tmp_path, settings)


@pytest.fixture(scope="session")
def quick_settings():
    return QUICK


@pytest.fixture(scope="session")
def new_side(dialogue):
    """A dialogue that is not held out: an opening is found for it."""

    def make(*words: str) -> Conversation:
        numbered = (dialogue(f"{words[0]} {n}", *words[1:]) for n in itertools.count())
        return next(made for made in numbered if not is_held_out(made, QUICK.data.held_out_share))

    return make
