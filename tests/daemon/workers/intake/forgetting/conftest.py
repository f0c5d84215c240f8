"""A home whose inbox was read into a real ledger, without a process, and a search through every file of it."""

import json
from pathlib import Path

import pytest

from control.paths import Paths, at_home
from daemon.messages import Collect, Erase, Erased, Forget, TakenOut
from daemon.settings.sections import Tables
from daemon.workers.intake import folders, snapshots
from daemon.workers.intake.file_reader import FileReader
from daemon.workers.intake.forgetting.erasing import erase
from daemon.workers.intake.forgetting.taking_out import take_out
from daemon.workers.intake.ledger.ledger import Ledger
from daemon.workers.intake.ledger.sources import Findings
from daemon.workers.intake.now_reading import NowReading
from daemon.workers.intake.parsing.parser import Parser
from engine.data.samples import Sample

SETTINGS = Tables.model_validate(
    {"data": {"held_out_share": 1e-12, "min_conversations": 1}, "gate": {"min_conversations": 1}}
)


def said(*words: str) -> dict:
    """A record of a dialogue."""
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[turn % 2], "content": word} for turn, word in enumerate(words)]}


class Home:
    """Files are put into its inbox with `put`, and read with `read`."""

    def __init__(self, folder: Path) -> None:
        self.paths: Paths = at_home(folder)
        folders.make_inbox(self.paths)
        for place in (self.paths.segments, self.paths.quarantine, self.paths.snapshots):
            place.mkdir()
        self.open()

    def open(self) -> None:
        self.ledger = Ledger.open(self.paths.ledger, self.paths.segments, self.paths.quarantine)

    def reopen(self) -> None:
        """As after a crash."""
        self.ledger.close()
        self.open()

    def put(self, name: str, *records: dict | str) -> Path:
        file = self.paths.inbox / "conversations" / name
        lines = (record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records)
        file.write_text("".join(f"{line}\n" for line in lines))
        return file

    def read(self) -> Findings:
        """Everything in the inbox, as a scan reads it."""
        note = NowReading(self.paths.now_reading, "none")
        reader = FileReader(self.ledger, SETTINGS.data, note, Parser(), lambda: None)
        found = Findings()
        with self.ledger.transaction():
            for path in folders.walk(self.paths.inbox, self.paths):
                found.add(reader.read(path))
        return found

    def samples(self) -> list[Sample]:
        return [self.ledger.samples.read(entry.location) for entry in self.ledger.catalog.all()]

    def id_of(self, text: str) -> str:
        """Of the one sample that says this."""
        (identity,) = {sample.identity for sample in self.samples() if text in " ".join(sample.texts)}
        return identity[:12]

    def collect(self, cycle: int) -> None:
        command = Collect(cycle=cycle, limit=None, minimum=1)
        snapshots.write_snapshot(command, self.ledger, self.paths, SETTINGS, lambda: None)

    def settle(self, cycle: int, *, learned: bool = True) -> None:
        with self.ledger.transaction():
            self.ledger.assignments.settle(cycle, 3, learned=learned, count_try=True)

    def take_out(self, *ids: str, number: int = 1, source: str | None = None, owner: str | None = None) -> TakenOut:
        command = Forget(forgetting=number, ids=ids, source=source, owner=owner)
        return take_out(command, self.ledger, self.paths)

    def erase(self, source: str | None = None) -> Erased:
        return erase(Erase(source=source), self.ledger, self.paths, SETTINGS, lambda: None)

    def files_with(self, sentence: str) -> list[str]:
        """Every file of the home that holds a sentence, as it is or as JSON writes it."""
        forms = {sentence.encode(), json.dumps(sentence)[1:-1].encode(), sentence.encode("utf-16-le")}
        return [
            str(file.relative_to(self.paths.state))
            for file in sorted(self.paths.state.rglob("*"))
            if file.is_file() and any(form in file.read_bytes() for form in forms)
        ]


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "home")
    yield made
    made.ledger.close()
