"""Looking at samples with the real thorctl, in a home that no thord runs in."""

import pytest

from daemon.workers.intake.folders import Signature
from daemon.workers.intake.ledger.candidate import candidate_of
from daemon.workers.intake.ledger.database import open_database
from daemon.workers.intake.ledger.dedup import Dedup
from daemon.workers.intake.ledger.ledger import Ledger
from engine.data.samples import Answer, Dialogue, Message, Preference
from engine.data.segments import Segments
from tests.control.stand_in import Ctl

TALK = Dialogue((Message("user", "Who keeps \x1b[31mthe tower?"), Message("assistant", "Maren.")))
PAIR = Preference((Message("user", "Which?"),), (Answer((Message("assistant", "this"),), rank=1),))


@pytest.fixture
def home(tmp_path):
    """A home in which talk.jsonl was read."""
    home = tmp_path / "home"
    home.mkdir()
    ledger = Ledger(open_database(home / "conversations.db"), Segments(home / "segments"), home / "quarantine")
    with ledger.transaction():
        source = ledger.sources.begin(home / "inbox/talk.jsonl", Signature(0, 0, 0, 0))
        read = [candidate_of(sample, source, 3) for sample in (TALK, PAIR)]
        Dedup(ledger.samples, ledger.forgotten, 0.0).add_all(read)
    ledger.close()
    return home


def test_samples_are_listed_found_and_shown(home, ctl: Ctl) -> None:
    (line,) = ctl("data", "list", "--source", "talk.jsonl", "--state", "new").stdout.splitlines()[1:]
    assert line.split()[:4] == [TALK.identity[:12], "dialogue", "new", f"{home}/inbox/talk.jsonl:3"]
    assert PAIR.identity[:12] in ctl("data", "list", "--kind", "preference", "--limit", "10").stdout
    (found,) = ctl.json("data", "find", "the tower")
    assert found["identity"] == TALK.identity
    assert len(ctl("data", "show", "talk.jsonl").stdout.splitlines()) == 3
    shown = ctl("data", "show", found["id"]).stdout
    assert "learned by  no version" in shown
    assert shown.endswith("user: Who keeps  [31mthe tower?\n\nassistant: Maren.\n"), "nothing steers the terminal"


def test_what_is_not_there_is_five_and_what_makes_no_sense_two(home, ctl: Ctl) -> None:
    missing = ctl("data", "show", "abcdef012345")
    assert (missing.returncode, "no sample has this ID" in missing.stderr) == (5, True)
    assert ctl("data", "find").returncode == 2
    assert "no such sample" in ctl("data", "find", "nobody said this").stdout
