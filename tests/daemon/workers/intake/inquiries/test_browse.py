"""Where samples came from and who learned them, told from a real ledger beside a store of versions."""

import json
import sqlite3
import subprocess
import sys

import pytest

from daemon import sqlite
from daemon.workers.intake.inquiries.browse import Browser, BrowseRequest, NoSuchSampleError
from daemon.workers.intake.inquiries.lineage import Lineage
from engine.data.samples import Answer, Message, Preference, Text

STORE = "CREATE TABLE versions (number INTEGER PRIMARY KEY, parent INTEGER, cycle INTEGER, state TEXT)"
HELD = Preference((Message("user", "Which?"),), (Answer((Message("assistant", "this"),), rank=1),))


@pytest.fixture
def browser(shelf, dialogue):
    """Two dialogues of one file, of which the first was learned by version 3, from which 4 was made; and others."""
    with shelf.ledger.transaction():
        shelf.add(dialogue("Where is the lamp?", "In the TOWER."))
    shelf.assign(7)
    shelf.settle(7, learned=True)
    other = shelf.new_place("other.jsonl")
    with shelf.ledger.transaction():
        shelf.add(dialogue("Another", "one"))
        shelf.add(Text("A tower of glass."), other)
        shelf.add(HELD, other)
    store = shelf.folder / "thord.db"
    with sqlite3.connect(store) as database:
        database.execute(STORE)
        database.executemany("INSERT INTO versions VALUES (?, ?, ?, 'available')", [(3, None, 7), (4, 3, 8), (5, 1, 9)])
    database.close()
    with sqlite.open_to_read(shelf.folder / "conversations.db") as ledger:
        yield Browser(ledger, shelf.folder / "segments", Lineage.read(store))


def ask(browser, action, **more):
    return browser.answer(BrowseRequest(places=("", "", "", ""), action=action, **more))


def test_a_sample_tells_its_cycles_its_versions_and_what_was_made_from_them(browser, dialogue, shelf) -> None:
    (found,) = ask(browser, "find", subject="the tower.")
    assert found["identity"] == dialogue("Where is the lamp?", "In the TOWER.").identity
    assert (found["kind"], found["state"], found["turns"]) == ("dialogue", "learned", 2)
    assert (found["source"], found["line"]) == (str(shelf.folder / "file"), 1)
    assert found["cycles"] == [{"cycle": 7, "as": "new", "outcome": "learned", "version": "000003"}]
    assert (found["versions"], found["made_from_these"]) == (["000003"], ["000004"])
    (whole,) = ask(browser, "show", subject=found["id"])
    assert whole["sample"]["messages"][1] == {"role": "assistant", "content": "In the TOWER.", "weight": 1}


def test_lists_are_narrowed_by_file_kind_and_state_newest_first(browser) -> None:
    assert [each["kind"] for each in ask(browser, "list")] == ["preference", "text", "dialogue", "dialogue"]
    assert [each["text"] for each in ask(browser, "list", source="other.jsonl")] == [
        "Which? | this",
        "A tower of glass.",
    ]
    assert [each["state"] for each in ask(browser, "list", kind="dialogue")] == ["new", "learned"]
    assert [each["kind"] for each in ask(browser, "list", state="held")] == ["preference"]
    assert len(ask(browser, "list", limit=1)) == 1
    assert len(ask(browser, "find", subject="tower")) == 2
    assert len(ask(browser, "show", subject="file")) == 2


def test_what_was_refused_is_listed_with_its_reason(browser, shelf) -> None:
    with shelf.ledger.transaction():
        shelf.database.execute(
            "INSERT INTO refusals (at, file, line, reason, copy, sha256, size, source, start)"
            " VALUES ('now', '/in/file', 3, 'not JSON', '', '', 0, 1, 0)"
        )
    (refused,) = ask(browser, "list", state="refused")
    assert refused == {"state": "refused", "source": "/in/file", "line": 3, "added_at": "now", "note": "not JSON"}
    assert refused in ask(browser, "show", subject="file")


def test_an_unknown_name_is_said(browser) -> None:
    for subject in ("abcdef012345", "nothing.jsonl", ""):
        with pytest.raises(NoSuchSampleError):
            ask(browser, "show", subject=subject)


def test_the_process_answers_in_json_and_says_what_is_missing(shelf, dialogue, tmp_path) -> None:
    with shelf.ledger.transaction():
        shelf.add(dialogue("q", "a"))

    def run(home) -> subprocess.CompletedProcess:
        request = {"places": [str(home / "thord.toml"), *[str(home)] * 3], "action": "list"}
        command = [sys.executable, "-m", "daemon.workers.intake.inquiries.browse"]
        return subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=False)

    assert [each["text"] for each in json.loads(run(shelf.folder).stdout)] == ["q | a"]
    (shelf.folder / "thord.db").write_bytes(b"not a database" * 100)
    unreadable = run(shelf.folder)
    assert (unreadable.returncode, str(shelf.folder / "thord.db") in unreadable.stderr) == (1, True)
    missing = run(tmp_path / "elsewhere")
    assert (missing.returncode, "nothing was read yet" in missing.stderr) == (1, True)
